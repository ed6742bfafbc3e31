/**
 * The questions to a place to publish to, asked of all of them alike.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Place } from "./places.ts";
import { carryOut, type Order } from "./publish-child.ts";

const child = new URL("publish-child.ts", import.meta.url).pathname;
const big = 12 * 1024 * 1024;

type Files = Record<string, Buffer>;

/** Secrets in command lines of processes, for as long as it is not told to stop. */
function watchProcesses(canaries: readonly string[]): () => readonly string[] {
  const seen = new Set<string>();
  const look = (): void => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        if (canaries.some((one) => line.includes(one))) seen.add(line);
      } catch {
        // It is over.
      }
    }
  };
  const timer = setInterval(look, 20).unref();
  return () => {
    clearInterval(timer);
    return [...seen];
  };
}

/**
 * Publishes in all the ways that matter.
 *
 * @param kills how often it is killed.
 * @returns what was counted, for people.
 */
export async function checkPlace(place: Place, kills: number): Promise<readonly string[]> {
  const told: string[] = [];
  let stopWatching = (): readonly string[] => [];
  const scratch = mkdtempSync(join(tmpdir(), "imgtask-place-"));
  for (const name of ["tmp", "project", "files"]) mkdirSync(join(scratch, name));
  const name = (bare: string): string => (place.flat ? bare : `iso/b7/${bare}`);
  const names = [name("kali.iso"), name("kali.iso.minisig"), "SHA256SUMS"];
  const make = (): Files => ({ [names[0]!]: randomBytes(big), [names[1]!]: Buffer.from(`signature ${randomBytes(8).toString("hex")}`), "SHA256SUMS": Buffer.from(`list ${randomBytes(8).toString("hex")}`) });
  let count = 0;
  const orderFor = (files: Files, change: Partial<Order> = {}): Order => {
    const listed = Object.entries(files).map(([one, bytes]) => {
      const path = join(scratch, "files", String(count++));
      writeFileSync(path, bytes);
      return { name: one, path };
    });
    return { ...place.order, ...change, files: listed, scratch };
  };
  const sees = async (files: Files, what: string): Promise<void> => {
    const there = await place.read();
    assert.deepEqual(Object.keys(there).sort(), Object.keys(files).sort(), what);
    for (const [one, bytes] of Object.entries(files)) assert.ok(there[one]!.equals(bytes), `${what}: ${one}`);
  };
  try {
    // Whole, and nothing twice.
    const first = make();
    place.received();
    const order = orderFor(first);
    stopWatching = watchProcesses(place.canaries);
    assert.deepEqual((await carryOut(order)).map(({ uploaded }) => uploaded), [true, true, true]);
    const once = place.received();
    await sees(first, "after the first run");
    assert.deepEqual((await carryOut(order)).map(({ uploaded }) => uploaded), [false, false, false]);
    const again = place.received();
    assert.ok(again <= place.chatter, `${again} bytes in the second run`);
    await sees(first, "after the second run");
    told.push(`received ${once} the first time, ${again} the second (files: 0; what is left is questions)`);

    // Wrong credentials and a place that denies: told, and nothing changes.
    for (const refused of [place.wrong, place.denied]) {
      if (refused === undefined) continue;
      if (place.unchanging === true) await place.empty();
      const error = await carryOut(orderFor(make(), refused.order)).then(() => assert.fail("was accepted"), (one: Error & { code: string; found?: string; hint?: string }) => one);
      assert.equal(error.code, refused.code, `${error.message}: ${error.found}`);
      assert.ok(error.hint !== undefined, "has a hint");
      const text = JSON.stringify(error) + error.message + (error.stack ?? "");
      for (const canary of place.canaries) assert.ok(!text.includes(canary), "a secret in an error");
      await sees(place.unchanging === true ? {} : first, "after a refusal");
    }
    assert.deepEqual(stopWatching(), [], "a secret in a command line");
    for (const canary of place.canaries) assert.ok(!readFileSync(join(scratch, "log"), "utf8").includes(canary), "a secret in the log");

    // Killed: each name shows the old bytes or the new ones, and who has the list has what it lists.
    let old = first;
    const started = Date.now();
    const second = make();
    if (place.unchanging === true) await place.empty();
    await inChild(orderFor(second), Infinity);
    const whole = Math.max(200, Date.now() - started - startup);
    await sees(second, "after a run in a process of its own");
    old = second;
    const outcomes = { none: 0, some: 0, all: 0 };
    for (let point = 1; point <= kills && place.unchanging !== true; point++) {
      const next = make();
      const work = orderFor(next);
      await inChild(work, (whole * 1.1 * point) / (kills + 1));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const there = await place.read();
      assert.deepEqual(Object.keys(there).sort(), names.toSorted(), `killed at point ${point}`);
      const fresh = names.map((one) => {
        const isNew = there[one]!.equals(next[one]!);
        assert.ok(isNew || there[one]!.equals(old[one]!), `killed at point ${point}: "${one}" is neither the old file nor the new one: ${there[one]!.length} bytes`);
        return isNew;
      });
      for (let i = 1; i < fresh.length; i++) assert.ok(!fresh[i] || fresh[i - 1], `killed at point ${point}: "${names[i]}" came before "${names[i - 1]}"`);
      outcomes[fresh.every(Boolean) ? "all" : fresh.some(Boolean) ? "some" : "none"]++;
      await carryOut(work);
      await sees(next, `after the run that follows kill ${point}`);
      old = next;
    }
    if (place.unchanging !== true) told.push(`killed at ${kills} points of ${whole} ms: ${outcomes.none} × the old files, ${outcomes.all} × the new ones, ${outcomes.some} × new ones in front and old ones behind; half files: 0`);

    // Killed while there is nothing yet.
    await place.empty();
    let nothing = 0;
    const times = place.unchanging === true ? kills : Math.ceil(kills / 5);
    for (let point = 1; point <= times; point++) {
      const next = make();
      const work = orderFor(next);
      await inChild(work, (whole * 1.1 * point) / (times + 1));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const there = await place.read();
      for (const [one, bytes] of Object.entries(there)) assert.ok(bytes.equals(next[one]!), `"${one}" is half`);
      if (Object.keys(there).length === 0) nothing++;
      await carryOut(work);
      await sees(next, "after the run that follows");
      await place.empty();
    }
    told.push(`killed ${times} times where nothing was: nothing visible ${nothing} times, half files: 0`);
    return told;
  } finally {
    stopWatching();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Milliseconds until a child says `begin`, last measured. */
let startup = 0;

/** Publishes in a process group of its own, which is killed so many milliseconds after it began. */
async function inChild(order: Order, killAfter: number): Promise<void> {
  const file = join(order.scratch, "order.json");
  writeFileSync(file, JSON.stringify(order), { mode: 0o600 });
  const begun = Date.now();
  const running = spawn(process.execPath, ["--import", "tsx", child, file], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let timer: NodeJS.Timeout | undefined;
  running.stdout.on("data", (bytes: Buffer) => {
    if (text === "") startup = Date.now() - begun;
    text += bytes.toString();
    if (killAfter === Infinity || timer !== undefined) return;
    timer = setTimeout(() => {
      try {
        process.kill(-running.pid!, "SIGKILL");
      } catch {
        // It was over.
      }
    }, killAfter);
  });
  await new Promise((resolve) => running.once("close", resolve));
  clearTimeout(timer);
  if (killAfter === Infinity) assert.match(text, /^begin\ndone /, text);
  else assert.doesNotMatch(text, /failed/, text);
}
