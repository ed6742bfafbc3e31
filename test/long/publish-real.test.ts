/**
 * The real command line at every place it publishes to: its secrets are in no command line, no log, no record and nothing that it
 * prints, also when they are wrong; the second publication sends no file; and an audit finds nothing undeclared.
 * @module
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { which } from "../../lib/process.ts";
import { watchProcesses } from "../rig/place-check.ts";
import { imagefileFor } from "../rig/place-kill.ts";
import { placeKinds } from "../rig/places.ts";
import { TestProject } from "../rig/project.ts";

/** All forms in which a value could leak that is looked for. */
const forms = (values: readonly string[]): readonly string[] => values.flatMap((value) => [value, ...[0, 1, 2].map((at) => Buffer.from(" ".repeat(at) + value).toString("base64").slice(4, -4)), Buffer.from(value).toString("hex")]);

for (const kind of placeKinds.filter(({ name }) => (process.env["IMGTASK_TEST_PLACE"] ?? name) === name)) {
  test(`${kind.name}: no secret leaves, no file is sent twice, nothing undeclared is used`, { skip: kind.missing() }, async (t) => {
    const place = await kind.start();
    try {
      using project = new TestProject({ "imagefile.ts": imagefileFor(place) });
      project.write("bytes", randomBytes(6 * 1024 * 1024));
      const canaries = forms(place.canaries), printed: string[] = [];
      const stop = watchProcesses(canaries);
      const run = async (argv: readonly string[], environment: Readonly<Record<string, string>> = place.environment ?? {}): ReturnType<typeof project.imgtask> => {
        const result = await project.start(argv, { env: { ...place.order.env, ...environment }, timeout: 300_000 }).finished;
        printed.push(result.stdout, result.stderr);
        return result;
      };
      // Wrong values first: what a failure prints.
      if (place.wrong !== undefined) {
        const wrong = Object.fromEntries(Object.entries(place.environment ?? {}).map(([name, value]) => [name, value === place.order.secrets["s3AccessKeyId"] ? value : `${value.trimEnd().slice(0, -3)}xyz${/\n$/.exec(value)?.[0] ?? ""}`]));
        const refused = await run(["run", "publish:it"], wrong);
        assert.equal(refused.code, 1, refused.stderr);
      }
      const first = await run(["run", "--verbose", "publish:it"]);
      assert.equal(first.code, 0, first.stderr);
      place.received();
      const again = await run(["run", "--force", "publish:it"]);
      assert.equal(again.code, 0, again.stderr);
      const sent = place.received();
      assert.ok(sent <= place.chatter, `${sent} bytes in the second publication`);
      const seen = stop();
      assert.deepEqual(seen, [], "a secret in a command line");
      const files = readdirSync(project.directory, { recursive: true, encoding: "utf8" }).filter((name) => !name.startsWith("node_modules") && lstatSync(join(project.directory, name)).isFile());
      for (const name of files) {
        const bytes = readFileSync(join(project.directory, name));
        for (const canary of canaries) assert.ok(!bytes.includes(canary), `a secret in ${name}`);
      }
      for (const text of printed) for (const canary of canaries) assert.ok(!text.includes(canary), "a secret was printed");
      t.diagnostic(`${kind.name}: ${canaries.length} forms of ${place.canaries.length} secrets in 0 of ${files.length} files and 0 command lines; the second publication sent ${sent} bytes, none of them of files`);

      if (which("strace") === undefined) return t.diagnostic("no strace: not audited");
      project.write("bytes", randomBytes(6 * 1024 * 1024));
      if (place.unchanging === true) await place.empty();
      const { stdout, stderr } = await run(["run", "--audit", "--json", "publish:it"]);
      const audited = stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { type: string; target: string; undeclared: object[] }).filter(({ type }) => type === "target audited");
      assert.deepEqual(audited.map(({ target }) => target), ["iso:kali", "publish:it"], stderr);
      assert.deepEqual(audited.flatMap(({ undeclared }) => undeclared), []);
      t.diagnostic(`${kind.name}: audited, 0 uses undeclared`);
    } finally {
      await place.stop();
    }
  });
}
