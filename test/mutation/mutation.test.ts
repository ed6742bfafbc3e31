/**
 * Generated edits of a project, each compared with the truth that its generator states: which targets can see it.
 * Every edit is judged by a plan, a sample by real runs and by runs from nothing.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "../../lib/load.ts";
import { makePlan } from "../../lib/plan.ts";
import { findProject } from "../../lib/project.ts";
import { openState } from "../../lib/state.ts";
import { binary, repository } from "../rig/project.ts";
import { files, targets } from "./base.ts";
import { type Edit, edits } from "./edit.ts";

const seed = Number(process.env["IMGTASK_TEST_SEED"] ?? 20260101);
const all = edits(seed);
/** Of so many edits one is run for real, and of so many of these one from nothing too. */
const real = 7, cold = 4;

let outer = "", base = "";
const path = (version: string): string => {
  const bin = join(outer, `bin-${version}`);
  if (!existsSync(bin)) {
    mkdirSync(bin);
    writeFileSync(join(bin, "stamper"), `#!/bin/sh\necho "stamper ${version}"\n`, { mode: 0o755 });
  }
  return `${bin}:${process.env["PATH"]!}`;
};

function run(directory: string, edit: Pick<Edit, "env" | "tool">): void {
  const env = { HOME: process.env["HOME"], NO_COLOR: "1", PATH: path(edit.tool ?? "1.2.3"), ...edit.env };
  const { status, stderr } = spawnSync(process.execPath, [binary, "run", ...Object.keys(targets)], { cwd: directory, env, encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

before(() => {
  outer = realpathSync(mkdtempSync(join(tmpdir(), "imgtask-mutation-")));
  base = join(outer, "base");
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), text);
    chmodSync(join(base, name), 0o644);
  }
  symlinkSync(repository, join(base, "node_modules/imgtask"));
  symlinkSync("real", join(base, "links/to"));
  symlinkSync("motd", join(base, "overlay/etc/link"));
  run(base, {});
});
after(() => rmSync(outer, { recursive: true, force: true }));

function copy(name: string, edit: Edit, built: boolean): string {
  const directory = join(outer, name);
  cpSync(base, directory, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter: (from) => built || !/\/(?:\.imgtask|artifacts)$/.test(from) });
  edit.apply(directory);
  return directory;
}

/** Targets that depend on one of a set. */
const behind = (set: ReadonlySet<string>): ReadonlySet<string> => new Set(Object.keys(targets).filter((name) => targets[name]!.some((one) => set.has(one))));

/** How often each target has run. */
const runs = (directory: string): ReadonlyMap<string, number> => new Map(Object.keys(targets).map((name) => {
  const logs = join(directory, ".imgtask/logs", name);
  return [name, existsSync(logs) ? readdirSync(logs).filter((one) => one !== "latest.log").length : 0];
}));

function bytes(directory: string): ReadonlyMap<string, string> {
  const at = join(directory, "artifacts");
  const found = readdirSync(at, { recursive: true, withFileTypes: true }).filter((one) => one.isFile() && one.name !== "log");
  return new Map(found.map((one) => [join(one.parentPath, one.name).slice(at.length + 1), readFileSync(join(one.parentPath, one.name), "utf8")] as const).filter(([name]) => name.endsWith(".txt")).sort());
}

/** What a plan says of each target, in this process. */
async function planned(directory: string, edit: Edit): Promise<ReadonlyMap<string, string>> {
  const kept = { ...process.env };
  Object.assign(process.env, { PATH: path(edit.tool ?? "1.2.3"), ...edit.env });
  try {
    const project = findProject(directory);
    const state = openState(project);
    const loaded = await load(project, state.cache, { write: false });
    return new Map((await makePlan(loaded, Object.keys(targets), state, new Set())).map(({ target, verdict }) => [target, verdict]));
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name];
    Object.assign(process.env, kept);
  }
}

test("every edit makes exactly the targets stale that can see it", { timeout: 900_000 }, async (t) => {
  let judged = 0, ran = 0, fromNothing = 0;
  const falseFresh: string[] = [], needless: string[] = [];
  const before = bytes(base), once = runs(base);
  for (const [index, edit] of all.entries()) {
    const directory = copy(`copy-${index}`, edit, true);
    const seen = new Set(edit.seen), later = behind(seen);
    // What is edited within the same ticks as it is evaluated is never trusted.
    await sleep(25);
    for (const [name, verdict] of await planned(directory, edit)) {
      judged++;
      const stale = verdict === "stale" || verdict === "depends";
      if (seen.has(name) && !stale) falseFresh.push(`taken for fresh: ${name} after ${edit.what}`);
      if (stale && !seen.has(name) && !later.has(name)) needless.push(`stale for nothing: ${name} after ${edit.what}`);
    }
    if (index % real === 0) {
      ran++;
      run(directory, edit);
      const now = runs(directory), made = bytes(directory);
      const again = new Set([...now].flatMap(([name, count]) => (count > once.get(name)! ? [name] : [])));
      for (const name of seen) if (!again.has(name)) falseFresh.push(`did not run: ${name} after ${edit.what}`);
      for (const name of again) if (!seen.has(name) && !later.has(name)) needless.push(`ran for nothing: ${name} after ${edit.what}`);
      if (!seen.has("join:all")) {
        const moved = ["banner.txt", "count.txt"].some((name) => made.get(name) !== before.get(name));
        assert.equal(again.has("join:all"), moved, `join:all after ${edit.what}`);
      }
      if (ran % cold === 0) {
        fromNothing++;
        const fresh = copy(`cold-${index}`, edit, false);
        run(fresh, edit);
        assert.deepEqual(made, bytes(fresh), `what a run from nothing makes after ${edit.what}`);
        rmSync(fresh, { recursive: true });
      }
    }
    rmSync(directory, { recursive: true });
  }
  const neutral = all.filter(({ seen }) => seen.length === 0).length;
  const share = (needless.length / judged) * 100;
  t.diagnostic(`seed ${seed}: ${all.length} mutations (${neutral} neutral), ${judged} verdicts, ${ran} real runs, ${fromNothing} from nothing`);
  t.diagnostic(`${falseFresh.length} false fresh, ${needless.length} needless re-runs (${share.toFixed(2)} %)`);
  for (const one of [...falseFresh, ...needless]) t.diagnostic(one);
  assert.ok(all.length >= 200);
  assert.ok(ran >= 40);
  assert.deepEqual(falseFresh, []);
  assert.ok(share <= 2, `${share} % needless`);
});
