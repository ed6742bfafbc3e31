/**
 * Resources: sizes, what is refused, budgets from the host's files, and when something is tried again.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Budget, freeMemory, freeSpace, type Host, usableCores } from "../../lib/budget.ts";
import { ImgtaskError } from "../../lib/error.ts";
import { amountsOf, bytesOf, demandOf } from "../../lib/resources.ts";
import { checkPatience, delayAfter, isTemporary } from "../../lib/retry.ts";
import { randomFrom } from "../rig/random.ts";
import { scratch } from "../rig/scratch.ts";

const at = { file: "/project/imagefile.ts", line: 3 };

test("sizes are bytes, or a number with a letter", () => {
  for (const [size, bytes] of [[0, 0], [1.5, 1.5], ["1K", 1024], ["512M", 512 * 1024 ** 2], ["1.5G", 1.5 * 1024 ** 3], ["2T", 2 * 1024 ** 4]] as const) assert.equal(bytesOf(size), bytes, String(size));
  for (const size of [-1, Number.NaN, Infinity, "", "1", "1g", "1 G", "1GB", "-1G", ".5G", "1e3M", "1.0000G", "9999999999G", null, {}, [1]]) assert.equal(bytesOf(size), undefined, String(size));
});

test("a declaration keeps what is taken, in bytes, and nothing else", () => {
  assert.deepEqual(demandOf({}, "t:a", at), { cpu: 1 });
  assert.deepEqual(demandOf({ cpu: 0, memory: 0, disk: "0G", network: false, kvm: false, locks: [] }, "t:a", at), { cpu: 0 });
  const all = demandOf({ cpu: 0.5, memory: "1G", disk: 7, network: true, kvm: true, locks: ["b", "a", "b"] }, "t:a", at);
  assert.deepEqual(all, { cpu: 0.5, memory: 1024 ** 3, disk: 7, network: true, kvm: true, locks: ["a", "b"] });
  assert.deepEqual([...amountsOf(all)], [["cpu", 0.5], ["memory", 1024 ** 3], ["disk", 7], ["network", 1], ["kvm", 1], ["lock a", 1], ["lock b", 1]]);
  assert.deepEqual([...amountsOf({ cpu: 0, locks: ["cpu"] })], [["lock cpu", 1]], "a lock is no other resource");
});

test("what makes no sense is refused with its place", () => {
  const bad: readonly object[] = [
    { cpu: -1 }, { cpu: "2" }, { cpu: Infinity }, { memory: "2GB" }, { memory: -1 }, { disk: {} }, { network: 1 }, { kvm: "yes" }, { locks: "usb" }, { locks: [""] }, { locks: [1] },
    { pools: ["network"] }, { ram: "1G" },
  ];
  for (const resources of bad) assert.throws(() => demandOf(resources, "t:a", at), { code: "IMG2002", exitCode: 2, location: at }, JSON.stringify(resources));
  for (const [retries, timeout] of [[{ times: -1 }], [{ times: 1.5 }], [{ times: 11 }], [{}], [{ times: 1, delay: -1 }], [{ times: 1, limit: Infinity }], [undefined, 0], [undefined, Number.NaN], [undefined, 2 ** 31], [undefined, "10 min"]] as const) {
    assert.throws(() => checkPatience(retries as never, timeout as never, "t:a", at), { code: "IMG2002", exitCode: 2, location: at }, JSON.stringify([retries, timeout]));
  }
  checkPatience({ times: 10, delay: 0, limit: 1 }, 0.5 + 1, "t:a", at);
});

/** A host of files. */
function host(directory: string, files: Readonly<Record<string, string>>): Host {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return { proc: join(directory, "proc"), cgroup: join(directory, "cgroup") };
}

test("cores: no more than any control group above allows, and at least one", (t) => {
  const rows: readonly (readonly [Readonly<Record<string, string>>, number])[] = [
    [{}, 8],
    [{ "proc/self/cgroup": "0::/\n" }, 8],
    [{ "proc/self/cgroup": "0::/\n", "cgroup/cpu.max": "max 100000\n" }, 8],
    [{ "proc/self/cgroup": "0::/a/b\n", "cgroup/a/b/cpu.max": "max 100000\n", "cgroup/a/cpu.max": "350000 100000\n" }, 3],
    [{ "proc/self/cgroup": "0::/a/b\n", "cgroup/a/b/cpu.max": "200000 100000\n", "cgroup/a/cpu.max": "350000 100000\n" }, 2],
    [{ "proc/self/cgroup": "0::/a\n", "cgroup/a/cpu.max": "50000 100000\n" }, 1],
    [{ "proc/self/cgroup": "0::/a\n", "cgroup/a/cpu.max": "9900000 100000\n" }, 8],
    [{ "proc/self/cgroup": "0::/a\n", "cgroup/a/cpu.max": "nonsense\n" }, 8],
    // In a container: the path is the host's, the files are the container's.
    [{ "proc/self/cgroup": "0::/docker/4711\n", "cgroup/cpu.max": "400000 100000\n" }, 4],
    // Version 1 only.
    [{ "proc/self/cgroup": "4:cpu,cpuacct:/a\n", "cgroup/a/cpu.max": "100000 100000\n" }, 8],
  ];
  for (const [files, cores] of rows) assert.equal(usableCores(host(scratch(t), files), 8), cores, JSON.stringify(files));
  assert.ok(usableCores() >= 1);
});

test("memory: what the host has to spare, and what the control groups leave", (t) => {
  const meminfo = { "proc/meminfo": "MemTotal:  9000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n" };
  const group = { ...meminfo, "proc/self/cgroup": "0::/a\n", "cgroup/a/memory.max": "1000000\n" };
  const rows: readonly (readonly [Readonly<Record<string, string>>, number])[] = [
    [{}, Number.MAX_SAFE_INTEGER],
    [meminfo, 8_000_000 * 1024],
    [{ ...group, "cgroup/a/memory.max": "max\n" }, 8_000_000 * 1024],
    [group, 1_000_000],
    [{ ...group, "cgroup/a/memory.current": "700000\n" }, 300_000],
    [{ ...group, "cgroup/a/memory.current": "700000\n", "cgroup/a/memory.stat": "anon 1\ninactive_file 500000\n" }, 800_000],
    [{ ...group, "cgroup/a/memory.current": "2000000\n" }, 0],
  ];
  for (const [files, bytes] of rows) assert.equal(freeMemory(host(scratch(t), files)), bytes, JSON.stringify(files));
  assert.ok(freeMemory() > 0 && freeSpace("/") > 0);
});

test("a budget has places for everything, and forgets free space only", (t) => {
  const directory = scratch(t);
  for (const [jobs, kvm] of [[1, 1], [2, 1], [5, 2], [16, 8]] as const) {
    const budget = new Budget({ jobs, memory: 5, directory });
    assert.deepEqual(["cpu", "memory", "network", "kvm", "lock x"].map((one) => budget.of(one)), [jobs, 5, 4, kvm, 1]);
  }
  const budget = new Budget({ jobs: 1, directory });
  assert.ok(budget.of("memory") > 1024 ** 2);
  assert.equal(budget.of("memory"), budget.of("memory"));
  const before = budget.of("disk");
  writeFileSync(join(directory, "file"), new Uint8Array(1 << 20));
  assert.equal(budget.of("disk"), before);
  budget.refresh();
  assert.ok(budget.of("disk") > 0);
});

test("only temporary failures of the network are worth another attempt", () => {
  const error = (code: string, exitCode: 1 | 3 | 75): ImgtaskError => new ImgtaskError(code, "x", { exitCode });
  for (const [one, expected] of [[error("IMG5001", 75), true], [error("IMG5006", 75), true], [error("IMG5004", 1), false], [error("IMG3002", 75), false], [error("IMG4020", 3), false], [new Error("IMG5001"), false], [undefined, false]] as const) {
    assert.equal(isTemporary(one), expected);
  }
});

test("waits double up to their limit, and are random below it", () => {
  const limits = [1, 2, 3, 4, 5, 6, 7].map((attempt) => delayAfter(attempt, { times: 7, delay: 100, limit: 1000 }, () => 1));
  assert.deepEqual(limits, [100, 200, 400, 800, 1000, 1000, 1000]);
  assert.equal(delayAfter(10, { times: 10 }, () => 1), 60_000);
  const random = randomFrom(3), waits = Array.from({ length: 1000 }, () => delayAfter(3, { times: 3, delay: 250 }, random));
  assert.ok(waits.every((wait) => wait >= 0 && wait < 1000) && Math.min(...waits) < 50 && Math.max(...waits) > 950);
});
