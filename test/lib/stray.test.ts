/**
 * Daemons: what left the process group of its command ends by its TMPDIR, and nothing else does.
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { endStrays } from "../../lib/stray.ts";
import { scratch } from "../rig/scratch.ts";

function started(env: Record<string, string>, argv: readonly string[] = ["sleep", "305"]): Promise<ChildProcess> {
  const child = spawn(argv[0]!, argv.slice(1), { env: { PATH: process.env["PATH"]!, ...env }, stdio: "ignore", detached: true });
  return new Promise((resolve, reject) => child.once("spawn", () => resolve(child)).once("error", reject));
}

const lives = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;

test("processes end by the TMPDIR they were given, also those that ignore SIGTERM; those of others do not", { timeout: 20_000 }, async (t) => {
  const directory = scratch(t);
  const own = join(directory, "tmp/12-");
  const strays = await Promise.all([
    started({ TMPDIR: `${own}0/tmp` }),
    started({ TMPDIR: `${own}7/tmp` }, ["sh", "-c", 'trap "" TERM; while :; do sleep 0.2; done']),
    started({ FIRST: "x", TMPDIR: `${own}0/tmp` }, ["setsid", "-w", "sleep", "305"]),
  ]);
  const others = await Promise.all([
    started({ TMPDIR: join(directory, "tmp/1-0/tmp") }),
    started({ TMPDIR: join(directory, "tmp/123-0/tmp") }),
    started({ TMPDIR: "/tmp", OTHER: `TMPDIR=${own}0/tmp`, OLD_TMPDIR: `${own}0/tmp` }),
    started({}, ["sh", "-c", "sleep 305", `TMPDIR=${own}0/tmp`]),
  ]);
  t.after(() => [...strays, ...others].filter(lives).forEach((child) => process.kill(-child.pid!, "SIGKILL")));
  const ended = Promise.all(strays.map((child) => (lives(child) ? new Promise((resolve) => child.once("exit", resolve)) : undefined)));
  await endStrays(own);
  await ended;
  assert.deepEqual(others.map(lives), [true, true, true, true]);
});
