/**
 * `publish` by the real command line under the audit: it uses nothing that it does not declare, with a repository of git
 * around the imagefile's directory, with one above it, and with none. Other places than a directory are in test/long.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { test } from "node:test";
import { which } from "../../lib/process.ts";
import { imagefileFor } from "../rig/place-kill.ts";
import { TestProject } from "../rig/project.ts";

const skip = which("strace") === undefined ? "strace is not installed" : false;
const order = { module: new URL("../../plugins/publish/directory.ts", import.meta.url).href, factory: "directory", options: ["place", { build: "b7" }], secrets: {}, env: {} };

for (const where of ["none", "above"] as const) {
  test(`an audited publication uses nothing undeclared; repository of git: ${where}`, { skip }, async (t) => {
    using project = new TestProject({ "imagefile.ts": imagefileFor({ order }), "bytes": "bytes", "conf/other": "x", ".gitignore": "node_modules\n" });
    if (where === "above") {
      for (const words of [["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Images"]]) execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", "-C", dirname(project.directory), ...words]);
    }
    const { code, stdout, stderr } = await project.start(["run", "--audit", "--json", "publish:it"], { timeout: 300_000 }).finished;
    const audited = stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { type: string; target: string; undeclared: object[] }).filter(({ type }) => type === "target audited");
    assert.deepEqual(audited.flatMap(({ target, undeclared }) => undeclared.map((one) => `${target}: ${JSON.stringify(one)}`)), [], stderr);
    assert.equal(code, 0, stderr);
    assert.deepEqual(audited.map(({ target }) => target), ["iso:kali", "publish:it"]);
    const { artifacts: [told] } = JSON.parse(project.read("place/manifest.json")) as { artifacts: { commit: { id: string; dirty: boolean } | null }[] };
    if (where === "above") assert.match(told!.commit!.id, /^[0-9a-f]{40}$/);
    else assert.equal(told!.commit, null);
    t.diagnostic(`${audited.length} targets audited, 0 uses undeclared`);
  });
}
