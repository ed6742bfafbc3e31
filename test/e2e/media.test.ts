/**
 * The command line brings an image from a vendor-shaped server and proves it genuine; what is refused ends with exit code 3,
 * stands nowhere, and is in the log.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { noise } from "../plugins/verify/archive.ts";
import { type Finished, TestProject } from "../rig/project.ts";
import { type VendorServer, vendorServer } from "../rig/vendor-server.ts";

const project = new TestProject();
const iso = join(project.directory, "..", "kali.iso"), evil = noise(250_000, "evil");
let server: VendorServer;

before(async () => {
  writeFileSync(iso, noise(250_000, "genuine"));
  server = await vendorServer([{ vendor: "kali", iso }, { vendor: "alma", iso }]);
  project.write("imagefile.ts", `import { download, group, verify } from "imgtask";
import { alma } from "imgtask/distros/alma";
import { kali } from "imgtask/distros/kali";
const trust = ${JSON.stringify({ keys: server.trust.keys })};
export const a = verify("kali", { media: download("kali", kali.installer({ release: "rolling", arch: "x86_64", edition: "netinst" })), trust });
export const b = verify("alma", { media: download("alma", alma.installer({ release: "9", arch: "x86_64" })), trust });
export default group("all", [a, b]);
`);
});
after(async () => {
  project.eject();
  await server.close();
});

const run = (...argv: readonly string[]): Promise<Finished> => project.start(["run", ...argv], { env: server.env }).finished;
const log = (): string => readFileSync(project.path("logs", readdirSync(project.path("logs"))[0]!), "utf8");

/** Whether a file below a directory has these bytes. */
function holds(directory: string, bytes: Buffer): boolean {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).some((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    return entry.isFile() && statSync(path).size === bytes.length && readFileSync(path).equals(bytes);
  });
}

test("genuine media are accepted, once, and the log says so", async () => {
  const { code, stderr } = await run("verify:kali", "verify:alma");
  assert.equal(code, 0, stderr);
  assert.equal(log().match(/ accepted \|$/gm)?.length, 2);
  assert.ok(holds(project.path(".imgtask/store"), readFileSync(iso)));
  const asked = server.seen.length;
  assert.equal((await run()).code, 0);
  assert.equal(server.seen.length, asked, "nothing is asked for again");
});

test("media that somebody changed end the run with exit code 3, stand nowhere, and are in the log", async () => {
  const before = log();
  project.rm(".imgtask");
  project.rm("imgtask.lock");
  writeFileSync(iso, evil);
  const { list } = server.place({ vendor: "kali", iso });
  server.files.set(list, Buffer.from(server.files.get(list)!.toString().replace(/[0-9a-f]{64}(?= {2}kali-linux-2025.3-installer-netinst-amd64)/, server.digest(iso))));
  const { code, stderr, stdout } = await run("verify:kali");
  assert.equal(code, 3, stderr);
  assert.match(stderr + stdout, /IMG4005/);
  assert.match(stderr + stdout, /was changed after it was signed/);
  assert.equal(project.exists("artifacts"), false);
  const records = readFileSync(project.path(".imgtask/records"), "utf8");
  assert.ok(!records.includes(`"verify:kali"`), "nothing is on record");
  assert.ok(log().startsWith(before), "lines are only added");
  assert.match(log().slice(before.length), /refused, IMG4005/);
});
