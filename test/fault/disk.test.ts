/**
 * Full and failing disks: whatever call fails, the run says so with a code or does without, loses nothing that was
 * finished, and once the disk is well again the next run completes without repair.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { callsIn, compileShim, faultEnvironment, spread } from "../rig/fault.ts";
import type { Finished } from "../rig/project.ts";
import { Layers, stack } from "../rig/layers.ts";

const ENOSPC = 28, EIO = 5;
const points = { full: 40, fullOnce: 20, broken: 40, reading: 24, sizes: 40, inodes: 20 } as const;

interface Tally {
  failed: number;
  /** Runs that did without what failed, as a cache. */
  without: number;
  kept: number;
  readonly codes: Map<string, number>;
}

const tally = (): Tally => ({ failed: 0, without: 0, kept: 0, codes: new Map() });

/** Looks at a run during which the disk failed, and at the next one. */
async function survives(layers: Layers, context: string, result: Finished, expected: RegExp, counted: Tally, well: () => void = () => {}): Promise<void> {
  const { code, signal, stderr, stdout } = result;
  assert.equal(signal, null, context);
  assert.ok(code === 0 || code === 1, `${context}: exit code ${code}: ${stderr}`);
  assert.doesNotMatch(stderr + stdout, stack, context);
  if (code === 0) counted.without++;
  else {
    counted.failed++;
    const named = expected.exec(stderr)?.[0];
    assert.ok(named !== undefined, `${context}: ${stderr}`);
    counted.codes.set(named, (counted.codes.get(named) ?? 0) + 1);
  }
  await layers.noneLeft();
  well();
  if (code === 0) layers.right(context);
  const recorded = layers.recorded();
  counted.kept += recorded.length;
  const ran = await layers.recovers(context);
  for (const target of ran) assert.equal(recorded.includes(target), false, `${context}: ${target} was finished and ran again`);
}

function closing(t: TestContext, title: string, count: number, counted: Tally): void {
  const codes = [...counted.codes].sort().map(([code, number]) => `${code} ${number}`).join(", ");
  t.diagnostic(`${title}: ${count} thresholds; ${counted.failed} failed with a code (${codes}), ${counted.without} did without; 0 wrong results, 0 stack traces, 0 repairs, 0 of ${counted.kept} finished targets repeated`);
}

/** Lets calls fail, at points spread over all calls of a build. */
async function failCalls(t: TestContext, title: string, calls: string, error: number, times: number, count: number, expected: RegExp): Promise<void> {
  const shim = compileShim(t);
  const counted = tally();
  const open = async (): Promise<Layers> => {
    const layers = new Layers();
    t.after(() => layers.dispose());
    layers.begin();
    await layers.recovers("first");
    return layers;
  };
  const first = await open();
  const log = join(first.project.directory, "../calls");
  first.begin();
  await first.run(faultEnvironment({ shim, root: first.project.path(".imgtask"), calls, at: 0, log }));
  const total = callsIn(log).length;
  rmSync(log);
  const places = [first];
  let hit = 0;
  await spread(
    Array.from({ length: count }, (_, index) => index),
    async () => places.pop() ?? (await open()),
    async (layers, index) => {
      const at = 1 + Math.floor((index * total) / count);
      const log = layers.project.path(`../calls-${index}`);
      layers.begin();
      const result = await layers.run(faultEnvironment({ shim, root: layers.project.path(".imgtask"), calls, at, for: times, does: error, log }));
      const failing = callsIn(log).find((call) => call.endsWith(" HIT"));
      rmSync(log);
      if (failing !== undefined) hit++;
      await survives(layers, `${title}, call ${at} of ${total}: ${failing}`, result, expected, counted);
    },
  );
  closing(t, `${title} (${total} in a build)`, count, counted);
  assert.ok(hit >= count * 0.9);
}

// Where one call fails and the next succeeds, Node's mkdir of a path tells of a directory that is not there (IMG3020).
test(`a disk that is full from one of ${points.full} calls on`, { timeout: 900_000 }, (t) => failCalls(t, "ENOSPC from a call on", "w", ENOSPC, 0, points.full, /IMG3030/));
test(`a disk that is full for a moment, at ${points.fullOnce} calls`, { timeout: 900_000 }, (t) => failCalls(t, "ENOSPC once", "w", ENOSPC, 1, points.fullOnce, /IMG30(?:30|20)/));
test(`a disk that fails at one of ${points.broken} calls that change something`, { timeout: 900_000 }, (t) => failCalls(t, "EIO at a changing call", "w", EIO, 1, points.broken, /IMG30(?:31|20)/));
test(`a disk that fails at one of ${points.reading} calls that read`, { timeout: 900_000 }, (t) => failCalls(t, "EIO at a reading call", "r", EIO, 1, points.reading, /IMG3031/));

const sudo = process.getuid?.() === 0 ? [] : ["sudo", "-n"];

function mount(...argv: readonly string[]): void {
  const [command, ...args] = [...sudo, ...argv] as [string, ...string[]];
  execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
}

/** Builds on file systems with little room left, from none to enough. */
async function smallDisks(t: TestContext, title: string, count: number, roomy: string, options: (used: { readonly bytes: number; readonly inodes: number }, point: number) => string): Promise<void> {
  const counted = tally();
  await spread(
    Array.from({ length: count }, (_, index) => index),
    () => {
      const outer = mkdtempSync(join(tmpdir(), "imgtask-small-"));
      t.after(() => rmSync(outer, { recursive: true }));
      const directory = join(outer, "disk");
      mkdirSync(directory);
      return directory;
    },
    async (directory, point) => {
      mount("mount", "-t", "tmpfs", "-o", `${roomy},mode=0777`, "imgtask-small", directory);
      try {
        const layers = new Layers(join(directory, "project"));
        layers.begin();
        // A first build leaves results behind that must outlive the full disk.
        await layers.recovers(`${title} ${point}, first`);
        layers.begin();
        const { blocks, bfree, bsize, files, ffree } = statfsSync(directory);
        const small = options({ bytes: (blocks - bfree) * bsize, inodes: files - ffree }, point);
        mount("mount", "-o", `remount,${small}`, directory);
        const result = await layers.run();
        await survives(layers, `${title} ${point}: ${small}`, result, /IMG3030/, counted, () => mount("mount", "-o", `remount,${roomy}`, directory));
        layers.dispose();
      } finally {
        mount("umount", directory);
      }
    },
  );
  closing(t, title, count, counted);
  assert.ok(counted.failed >= count / 3 && counted.without > 0, `${counted.failed} failed, ${counted.without} had room`);
}

const roomy = "size=64m,nr_inodes=10000";

test(`${points.sizes} small disks`, { timeout: 900_000 }, (t) => smallDisks(t, "small disks", points.sizes, roomy, ({ bytes }, point) => `size=${bytes + point * 4096}`));
test(`${points.inodes} disks with few inodes`, { timeout: 600_000 }, (t) => smallDisks(t, "few inodes", points.inodes, roomy, ({ inodes }, point) => `nr_inodes=${inodes + point * 6}`));
