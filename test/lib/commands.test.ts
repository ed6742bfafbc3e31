/**
 * `Commands`: what a recipe started and did not wait for is found and ended; what it waited for is not in the way.
 * @module
 */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Commands } from "../../lib/commands.ts";

/** Fails when it is ended, as a command does. */
const until = (ms: number) => async (signal: AbortSignal): Promise<string> => (await sleep(ms, "done", { signal }));

test("commands that were waited for leave nothing", async () => {
  const over = new AbortController(), commands = new Commands(over.signal);
  assert.deepEqual(await Promise.all([commands.run("a", until(1)), commands.run("b", until(5))]), ["done", "done"]);
  await assert.rejects(commands.run("c", () => Promise.reject(new Error("no"))), /no/);
  await commands.finish("x:y");
  assert.equal(getEventListeners(over.signal, "abort").length, 0);
});

test("one that nothing waits for is ended, and named", async () => {
  const over = new AbortController(), commands = new Commands(over.signal);
  let ended = false;
  void commands.run("rsync", async (signal) => await until(60_000)(signal).finally(() => (ended = true))).then(() => undefined);
  await assert.rejects(commands.finish("x:y"), { code: "IMG3022", message: /"x:y" ended while "rsync" still ran/ });
  assert.ok(ended);
  assert.equal(getEventListeners(over.signal, "abort").length, 0);
});

test("the end of the run ends them, also those that start after it", async () => {
  const over = new AbortController(), commands = new Commands(over.signal);
  const running = assert.rejects(commands.run("a", until(60_000)), { name: "AbortError" });
  over.abort();
  await running;
  await assert.rejects(commands.run("b", until(60_000)), { name: "AbortError" });
});
