/**
 * The lock: one holder, waiters that wake at once however the holder ends, and nothing left behind.
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { takeLock } from "../../lib/lock.ts";
import { repository } from "../rig/project.ts";
import { scratch } from "../rig/scratch.ts";

const never = new AbortController().signal;
const take = (directory: string, waiting: (holder: string) => void = () => {}, signal: AbortSignal = never) => takeLock(directory, { purpose: "test", signal, waiting });

test("twenty takers hold it one after the other", async (t) => {
  const directory = scratch(t);
  let holders = 0, most = 0, total = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const lock = await take(directory);
      most = Math.max(most, ++holders);
      total++;
      await sleep(2);
      holders--;
      await lock!.release();
    }),
  );
  assert.deepEqual([most, total, existsSync(join(directory, "lock"))], [1, 20, false]);
});

test("different directories have different locks, two names of one directory have one", async (t) => {
  const one = scratch(t), two = scratch(t);
  const first = await take(one), second = await take(two);
  let waited = "";
  const third = take(`${one}/../${one.split("/").at(-1)!}`, (holder) => (waited = holder));
  await sleep(100);
  assert.match(waited, new RegExp(`^process ${process.pid}, test$`));
  await first!.release();
  await (await third)!.release();
  await second!.release();
});

test("waiting can be given up", async (t) => {
  const directory = scratch(t);
  const lock = await take(directory);
  const controller = new AbortController();
  const waiting = take(directory, () => {}, controller.signal);
  await sleep(50);
  controller.abort();
  assert.equal(await waiting, undefined);
  await lock!.release();
  await (await take(directory))!.release();
});

for (const stopped of [false, true]) {
  test(`a ${stopped ? "stopped " : ""}holder that is killed wakes the waiter at once`, { timeout: 20_000 }, async (t) => {
    const directory = scratch(t), held = scratch(t);
    writeFileSync(
      join(directory, "hold.mts"),
      `import { takeLock } from ${JSON.stringify(join(repository, "lib/lock.ts"))};
await takeLock(${JSON.stringify(held)}, { purpose: "hold", signal: new AbortController().signal, waiting() {} });
console.log("held");
setInterval(() => {}, 1000);\n`,
    );
    const holder = spawn(process.execPath, ["--import", "tsx", join(directory, "hold.mts")], { cwd: repository, stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    if (stopped) holder.kill("SIGSTOP");
    let told = "", taken = 0;
    const waiting = take(held, (who) => (told = who)).then((lock) => {
      taken = Date.now();
      return lock;
    });
    await sleep(300);
    assert.equal(taken, 0);
    assert.equal(told, `process ${holder.pid!}, hold`);
    const killed = Date.now();
    holder.kill("SIGKILL");
    await (await waiting)!.release();
    assert.ok(taken - killed < 500, `woke after ${taken - killed} ms`);
  });
}
