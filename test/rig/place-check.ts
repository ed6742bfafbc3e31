/**
 * The questions to a place to publish to, asked of all of them alike.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Place } from "./places.ts";
import { carryOut, lookAt, type Order } from "./publish-child.ts";

const child = new URL("publish-child.ts", import.meta.url).pathname;
const big = 18 * 1024 * 1024;
/** What was surely there, when two thirds had been sent: a part of 5 MiB, four being on the way; or what a pipe does not hold. */
const onceSurely = 5 * 1024 * 1024;

type Files = Record<string, Buffer>;

/** Secrets in command lines of processes, for as long as it is not told to stop. */
export function watchProcesses(canaries: readonly string[]): () => readonly string[] {
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
  const timer = setInterval(look, 10).unref();
  return () => {
    clearInterval(timer);
    return [...seen];
  };
}

/**
 * Publishes in all the ways that matter.
 *
 * @returns what was counted, for people.
 */
export async function checkPlace(place: Place): Promise<readonly string[]> {
  const told: string[] = [];
  let stopWatching = (): readonly string[] => [];
  const scratch = mkdtempSync(join(tmpdir(), "imgtask-place-"));
  for (const name of ["tmp", "project", "files"]) mkdirSync(join(scratch, name));
  const name = (bare: string): string => (place.flat ? bare : `iso/b7/${bare}`);
  // A place for images is given no documents.
  const documents = place.images === true ? [] : [name("kali.iso.minisig"), "SHA256SUMS"];
  const make = (): Files => ({ [name("kali.iso")]: randomBytes(big), ...Object.fromEntries(documents.map((one) => [one, Buffer.from(`document ${randomBytes(8).toString("hex")}`)])) });
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
    const order = orderFor(first);
    stopWatching = watchProcesses(place.canaries);
    const nothing = await lookAt(order);
    assert.deepEqual(nothing ?? {}, {}, "a place that is empty, or not made yet");
    place.received();
    assert.deepEqual((await carryOut(order)).map(({ uploaded }) => uploaded), order.files.map(() => true));
    const all = place.received();
    await sees(first, "after the first run");
    if (place.latest !== undefined) assert.equal(place.latest(), "b7", "the link to the latest build");
    const lists = { ...order, files: order.files.slice(1) };
    if (nothing !== undefined) for (const [one, bytes] of Object.entries((await lookAt(lists))!)) assert.ok(first[one]!.equals(bytes), `"${one}" as it is read`);
    place.received();
    assert.deepEqual((await carryOut(order)).map(({ uploaded }) => uploaded), order.files.map(() => false));
    const again = place.received();
    assert.ok(again <= place.chatter, `${again} bytes in the second run`);
    await sees(first, "after the second run");
    told.push(`received ${all} the first time, ${again} the second (files: 0; what is left is questions)`);

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

    if (place.reached !== undefined) {
      // Killed in the middle of a file: nothing new is seen, and the next run sends the rest of it.
      const second = make();
      place.received();
      const work = orderFor(second);
      await killedAfter(work, place.reached((big * 2) / 3));
      const before = place.received();
      await sees(first, "after a run that was killed");
      await carryOut(work);
      const rest = place.received();
      await sees(second, "after the run that follows");
      assert.ok(rest <= big - onceSurely + place.chatter, `${rest} bytes after ${before} had been sent`);
      told.push(`killed after ${before} of ${all} bytes; the next run sent ${rest}`);
    }
    return told;
  } finally {
    stopWatching();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Publishes in a process group of its own, which is killed at a moment. */
async function killedAfter(order: Order, moment: Promise<void>): Promise<void> {
  const file = join(order.scratch, "order.json");
  writeFileSync(file, JSON.stringify(order), { mode: 0o600 });
  const running = spawn(process.execPath, ["--import", "tsx", child, file], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(running, "close");
  const first = await Promise.race([moment.then(() => "moment"), closed.then(() => "end")]);
  if (first === "end") assert.fail("it ended before it could be killed");
  process.kill(-running.pid!, "SIGKILL");
  await closed;
}
