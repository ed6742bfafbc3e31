/**
 * One project in two places, under another locale, time zone, umask and user: equal fingerprints, equal outputs.
 * @module
 */
import assert from "node:assert/strict";
import { chownSync, cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Record, Records } from "../../lib/record.ts";
import { preamble, repository, TestProject } from "../rig/project.ts";

const imagefile = `${preamble}import { greeting } from "./parts/greeting.ts";
const one = target("make:one", {
  inputs: { file: source("in.txt"), glob: source.glob("conf/**") }, params: { "ä": 1, b: 2, Z: 3 }, env: ["LEVEL"],
  outputs: { out: output("tree", "tree", { path: "artifacts/one" }) },
  async run({ inputs, outputs, $, exec, epoch, env }) {
    await exec(["mkdir", outputs.out]);
    await exec(["touch", outputs.out + "/made", outputs.out + "/z"]);
    await $\`cd \${outputs.out} && mkdir sub && locale 2>/dev/null | grep LC_ALL > locale; date +%Z > zone; umask > mask; ls \${inputs.glob} | sed 's|.*/||' | sort > sorted; date +%x > when-\${epoch}\`;
    writeFileSync(outputs.out + "/text", greeting + readFileSync(inputs.file, "utf8"));
  },
});
const two = target("make:two", { inputs: { one }, outputs: { out: output("file", "tar", { path: "artifacts/two.tar" }) },
  async run({ inputs, outputs, exec, epoch }) { await exec(["tar", "--sort=name", "--mtime=@" + epoch, "--owner=0", "--group=0", "--numeric-owner", "-cf", outputs.out, "-C", inputs.one, "."]); } });
export default group("all", [one, two]);
`;

function results(directory: string): readonly Pick<Record, "target" | "fingerprint" | "outputs">[] {
  return [...new Records(join(directory, ".imgtask/records")).all()].map(({ target, fingerprint, outputs }) => ({ target, fingerprint, outputs }));
}

test("two checkouts agree", { timeout: 60_000 }, async (t) => {
  const made = new TestProject({ "imagefile.ts": imagefile, "parts/greeting.ts": `export const greeting: string = "hello ";\n`, "in.txt": "in", "conf/ä": "1", "conf/b": "2", "conf/Z": "3" });
  t.after(() => made.eject());
  const other = mkdtempSync(join(tmpdir(), "imgtask-another place ü-"));
  t.after(() => rmSync(other, { recursive: true, force: true }));
  cpSync(made.directory, join(other, "p"), { recursive: true, filter: (path) => !path.endsWith("node_modules/imgtask") });
  const copy = join(other, "p");
  symlinkSync(repository, join(copy, "node_modules/imgtask"));

  const first = await made.start(["run"], { env: { LEVEL: "1", LC_ALL: "C", TZ: "UTC" } }).finished;
  assert.equal(first.code, 0, first.stderr);
  const prefix = ["sh", "-c", 'umask 077; exec "$@"', "sh"];
  if (process.getuid!() === 0) {
    const own = (path: string): void => {
      chownSync(path, 65534, 65534);
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (entry.isDirectory()) own(join(path, entry.name));
        else if (entry.isFile()) chownSync(join(path, entry.name), 65534, 65534);
      }
    };
    own(other);
    prefix.push("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--");
  }
  const second = await made.start(["run"], { cwd: copy, prefix, env: { LEVEL: "1", LC_ALL: "C.UTF-8", LANG: "tr_TR.UTF-8", TZ: "Asia/Kathmandu", HOME: other, NODE_COMPILE_CACHE: "", TMPDIR: tmpdir() } }).finished;
  assert.equal(second.code, 0, second.stderr);

  assert.equal(results(made.directory).length, 2);
  assert.deepEqual(results(copy), results(made.directory));
});
