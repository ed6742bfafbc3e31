/**
 * Files that are out of reach, and file systems that are full: told with the path that matters.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { accessError, diskError } from "../../lib/disk-error.ts";
import { ImgtaskError } from "../../lib/error.ts";

const system = (code: string, more: object = {}): Error => Object.assign(new Error(`${code}: words of the system`), { code, ...more });

test("a missing permission and a file system that is mounted read-only are a prerequisite, and name the path", () => {
  for (const [code, said] of [["EACCES", /no permission/], ["EPERM", /not permitted/], ["EROFS", /mounted read-only/]] as const) {
    const error = accessError(system(code, { path: "/p/.imgtask" }));
    assert.deepEqual([error?.code, error?.exitCode, error?.message], ["IMG1010", 4, 'No access to "/p/.imgtask"']);
    assert.match(error!.found!, said);
  }
  assert.equal(accessError(system("EACCES")), undefined, "of no file");
  assert.equal(accessError(system("ENOENT", { path: "/nowhere/at/all", syscall: "mkdir" })), undefined);
  assert.equal(accessError(new ImgtaskError("IMG3020", "It failed", { cause: system("EACCES", { path: "/p" }) })), undefined, "what a recipe did");
});

test("of a copy, the full file system is that of the new file", () => {
  const error = diskError(system("ENOSPC", { syscall: "copyfile", path: "/etc/hostname", dest: "/proc/self/x" }), undefined);
  assert.equal(error?.code, "IMG3030");
  assert.match(error!.message, /"\/proc/);
});
