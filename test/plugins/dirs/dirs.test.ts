/**
 * The kind `dirs`: its tree, its log, and the lists of machines.
 * @module
 */
import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { source } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { dirs } from "../../../plugins/dirs/dirs.ts";
import { runRecipe } from "../../rig/recipe.ts";

const directory = mkdtempSync(join(tmpdir(), "imgtask-dirs-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const listFile = join(directory, "list.txt");
const list = dirs.list(source("config/list.txt"), { under: "/srv/apps", mode: 0o750, owner: "devops" });

test("a list for a machine has its defaults filled in, and refuses what no machine has", () => {
  assert.deepEqual({ ...list, list: undefined }, { list: undefined, under: "/srv/apps", mode: 0o750, owner: "devops", group: "root" });
  const of = source("x");
  for (const under of ["srv", "/", "/srv/", "/srv/../etc", "/srv\n"]) assert.throws(() => dirs.list(of, { under }), { code: "IMG2204" }, under);
  assert.throws(() => dirs.list(of, { under: "/srv", mode: 0o10000 }), { code: "IMG2204" });
  assert.throws(() => dirs.list(of, { under: "/srv", owner: "a b" }), { code: "IMG2204" });
});

test("the declaration merges into workspaces/NAME and logs with the time in the name", () => {
  dirs("declared", { directories: list });
  const { outputs, params } = registry().targets.findLast((one) => one.declaration.name === "dirs:declared")!.declaration;
  assert.deepEqual(outputs["out"], { form: "tree", type: "directories", path: "workspaces/declared", merge: true });
  assert.equal(outputs["log"]?.path, "logs/directories-{time}.md");
  // Owner and mode are the machine's: changing them must not touch the workspace.
  assert.deepEqual(params, { origin: "config/list.txt", host: "workspaces/declared" });
});

test("the tree has every directory, whatever the umask, and the log says what existed", async () => {
  writeFileSync(listFile, "# teams\nalpha/prod\nbeta`x\nalpha/prod\n");
  dirs("made", { directories: list });
  const umask = process.umask(0o077);
  const run = await runRecipe("dirs:made", { "inputs.list": listFile }).finally(() => process.umask(umask));
  try {
    assert.deepEqual(readdirSync(run.outputs["out"]!, { recursive: true }).sort(), ["alpha", "alpha/prod", "beta`x"]);
    for (const path of ["", "alpha", "alpha/prod"]) {
      const stats = lstatSync(join(run.outputs["out"]!, path));
      assert.equal(stats.mode & 0o7777, 0o755);
      assert.equal(stats.mtimeMs, 1_700_000_000_000);
    }
    const log = readFileSync(run.outputs["log"]!, "utf8");
    assert.match(log, /^- When: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m);
    assert.match(log, /^- List: `config\/list\.txt`$/m);
    assert.match(log, /^- Listed: 2\n- Existed already: 0\n- Created: 2$/m);
    assert.match(log, /^- `` beta`x ``$/m);
  } finally {
    run.dispose();
  }
});

test("what existed is counted, and a file of that name is not a directory", async () => {
  writeFileSync(listFile, "there\nfile\nnew\n");
  const host = join(directory, "host");
  mkdirSync(join(host, "there"), { recursive: true });
  writeFileSync(join(host, "file"), "");
  // The rig's project is empty and in the temporary directory: reach ours from there.
  dirs("again", { directories: list, host: "host" });
  const { declaration, recipe } = registry().targets.findLast((one) => one.declaration.name === "dirs:again")!;
  const outputs = { out: join(directory, "out"), log: join(directory, "log") };
  const context = { inputs: { list: listFile }, params: declaration.params, outputs, project: directory, epoch: 0, log() {} };
  await recipe!(context as unknown as Parameters<NonNullable<typeof recipe>>[0]);
  const log = readFileSync(outputs.log, "utf8");
  assert.match(log, /^- Existed already: 1\n- Created: 2$/m);
  assert.match(log, /^- `there` \(existed\)$/m);
  assert.match(log, /^- `file`$/m);
});

test("a bad line names the list as the imagefile does", async (context) => {
  writeFileSync(listFile, "good\n/bad\n");
  dirs("bad", { directories: list });
  context.mock.method(console, "error", () => {});
  await assert.rejects(runRecipe("dirs:bad", { "inputs.list": listFile }), { code: "IMG2201", message: /config\/list\.txt:2/ });
});
