/**
 * What is told of the imagefile's repository: the commit, whether it is all of it, and an address without secrets.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../../lib/process.ts";
import type { Argv, ExecOptions } from "../../../lib/target.ts";
import { commitOf, publicAddress } from "../../../plugins/publish/git.ts";
import { scratch } from "../../rig/scratch.ts";

test("commit, directory and what is dirty; what imgtask writes is not", async (t) => {
  const base = scratch(t), project = join(base, "images");
  const logFd = openSync(join(base, "log"), "a");
  t.after(() => closeSync(logFd));
  const ask = () => commitOf({ project, tmp: base, exec: (argv: Argv, options?: ExecOptions) => run(argv, { cwd: base, env: { PATH: process.env["PATH"], HOME: base }, logFd, signal: new AbortController().signal }, options) });
  const git = (...words: readonly string[]): string => execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...words], { cwd: base, encoding: "utf8" }).trim();
  mkdirSync(project);
  writeFileSync(join(project, "imagefile.ts"), "1");
  assert.equal(await ask(), undefined, "no repository");
  git("init", "--quiet");
  assert.equal(await ask(), undefined, "no commit");
  git("add", "images");
  git("commit", "--quiet", "-m", "x");
  const clean = { id: git("rev-parse", "HEAD"), dirty: false, directory: "images", origin: undefined };
  assert.deepEqual(await ask(), clean);
  for (const name of ["artifacts", ".imgtask", "logs", "workspaces"]) {
    mkdirSync(join(project, name));
    writeFileSync(join(project, name, "x"), "x");
  }
  assert.deepEqual(await ask(), clean);
  writeFileSync(join(project, "new.conf"), "x");
  assert.equal((await ask())!.dirty, true, "a file that is not in the commit");
  writeFileSync(join(base, ".git/info/exclude"), "new.conf\n");
  assert.equal((await ask())!.dirty, false);
  writeFileSync(join(project, "imagefile.ts"), "2");
  assert.equal((await ask())!.dirty, true, "an edited file");
  git("remote", "add", "origin", "git@git.example.org:team/images.git");
  assert.equal((await ask())!.origin, "ssh://git.example.org/team/images.git");
});

test("addresses are told without user, password and paths of this host", () => {
  const cases = [
    ["https://user:token@git.example.org:8443/a/b.git", "https://git.example.org:8443/a/b.git"], ["https://git.example.org/a?token=x#y", "https://git.example.org/a"],
    ["ssh://git@git.example.org/a", "ssh://git.example.org/a"], ["git@git.example.org:a/b", "ssh://git.example.org/a/b"],
    ["/home/me/secret.git", undefined], ["file:///home/me/x", undefined], ["../x", undefined], ["", undefined],
  ] as const;
  for (const [url, address] of cases) assert.equal(publicAddress(url), address, url);
});
