/**
 * `imgtask.lock` by the real command line and a vendor-shaped server: the newest image is resolved once, then pinned; newer
 * ones are shown and taken on demand only.
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { noise } from "../plugins/verify/archive.ts";
import { type Finished, TestProject } from "../rig/project.ts";
import { type VendorImage, type VendorServer, vendorServer } from "../rig/vendor-server.ts";

const places = new TestProject();
const file = (name: string): string => join(places.directory, name);
/** One server with Ubuntu's 24.04.3 and Alma's 9.6, and, as long as they are hidden, their successors. */
let server: VendorServer;
let project: TestProject;
const old: Readonly<Record<"ubuntu" | "alma", VendorImage>> = { ubuntu: { vendor: "ubuntu", iso: file("u3.iso") }, alma: { vendor: "alma", iso: file("a.iso") } };
const newer: VendorImage = { vendor: "ubuntu", iso: file("u4.iso"), version: "24.04.4" };
const lists = new Map<string, Buffer>();

before(async () => {
  for (const name of ["u3.iso", "u4.iso", "a.iso"]) writeFileSync(file(name), noise(150_000, name));
  server = await vendorServer([old.ubuntu, old.alma, newer]);
  const { list } = server.place(newer);
  const both = server.files.get(list)!.toString();
  const sign = (name: string, text: string, time: string): void => {
    lists.set(name, Buffer.from(text));
    lists.set(`${name} signature`, server.sign(text, "detached", ["--armor", "--faked-system-time", time]));
  };
  const now = (offset: number): string => new Date(Date.now() + offset).toISOString().replace(/[-:]|\..*/g, "");
  sign("new", both, now(1000));
  sign("old", both.split("\n").filter((line) => !line.includes("24.04.4")).join("\n"), now(0));
});
after(async () => {
  places.eject();
  await server.close();
});

/** Which list Ubuntu's mirror has. */
function publish(which: "old" | "new"): void {
  const { list, signature } = server.place(newer);
  server.files.set(list, lists.get(which)!);
  server.files.set(signature!, lists.get(`${which} signature`)!);
}

beforeEach(() => {
  project?.eject();
  project = new TestProject();
  publish("old");
  project.write("imagefile.ts", `import { download, group, target, verify } from "imgtask";
import { alma } from "imgtask/distros/alma";
import { ubuntu } from "imgtask/distros/ubuntu";
const trust = ${JSON.stringify({ keys: server.trust.keys })};
export const u = verify("ubuntu", { media: download("ubuntu", ubuntu.installer({ release: "24.04", arch: "x86_64" })), trust });
export const a = verify("alma", { media: download("alma", alma.installer({ release: "9", arch: "x86_64" })), trust });
export const plain = target("text:plain", { outputs: { out: "file" }, run: async ({ exec, outputs }) => void (await exec(["true"], { stdout: { file: outputs.out } })) });
export default group("all", [u, a]);
`);
});
after(() => project.eject());

const imgtask = (...argv: readonly string[]): Promise<Finished> => project.start(argv, { env: server.env }).finished;

interface Entry { file: string; path: string; size: number; sha256: string; version: string; list: { signedAt: string; version: string } }

const lock = (): Record<string, Entry> => (JSON.parse(project.read("imgtask.lock")) as { media: Record<string, Entry> }).media;
const idOf = (prefix: string): string => Object.keys(lock()).find((id) => id.startsWith(prefix))!;
function edit(change: (media: Record<string, Entry>) => void): void {
  const media = lock();
  change(media);
  project.write("imgtask.lock", JSON.stringify({ version: 1, media }));
}

async function good(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await imgtask(...argv);
  assert.equal(code, 0, stdout + stderr);
  return stdout + stderr;
}

async function refused(exitCode: number, pattern: RegExp, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await imgtask(...argv);
  assert.equal(code, exitCode, stdout + stderr);
  assert.match(stdout + stderr, pattern);
  return stdout + stderr;
}

async function nothing(...argv: readonly string[]): Promise<void> {
  const asked = server.seen.length;
  assert.match(await good("run", ...argv), /^Nothing to do/m);
  assert.deepEqual(server.seen.slice(asked), [], "nobody is asked");
}

test("the first build pins what it verified, and is not stale by that", async () => {
  assert.match(await good("run"), /verify:ubuntu/);
  const { [idOf("ubuntu")]: ubuntu, [idOf("alma")]: alma } = lock();
  assert.equal(ubuntu!.file, "ubuntu-24.04.3-live-server-amd64.iso");
  assert.equal(ubuntu!.path, "24.04/ubuntu-24.04.3-live-server-amd64.iso");
  assert.deepEqual([ubuntu!.sha256, ubuntu!.size, ubuntu!.version, ubuntu!.list.version], [server.digest(old.ubuntu.iso), 150_000, "24.04.3", "24.04.3"]);
  assert.ok(!Number.isNaN(Date.parse(ubuntu!.list.signedAt)));
  assert.equal(alma!.sha256, server.digest(old.alma.iso));
  const text = project.read("imgtask.lock");
  await nothing();
  await nothing();
  await nothing("--frozen");
  assert.match(await good("plan"), /Nothing|fresh/i);
  // Nothing of another entry counts, nor does how the file is written.
  edit((media) => Object.assign(media, { "another-one": { list: { version: "1" } } }));
  await nothing();
  project.write("imgtask.lock", text);
  await nothing();
});

test("a newer image changes no build; outdated shows it, update takes it and only it", async () => {
  await good("run");
  const before = lock();
  publish("new");
  await nothing();
  const asked = server.seen.length;
  assert.match(await good("outdated"), /24\.04\.3-live-server-amd64\.iso → .*24\.04\.4/);
  assert.ok(server.seen.slice(asked).every((path) => !path.endsWith(".iso")), "no image is brought");
  assert.equal((await imgtask("outdated", "--exit-code")).code, 5);
  assert.equal((await imgtask("outdated", "--exit-code", "verify:alma")).code, 0);
  const { media } = JSON.parse((await imgtask("outdated", "--json")).stdout) as { media: { outdated: boolean; targets: string[] }[] };
  assert.deepEqual(media.map(({ outdated, targets }) => [outdated, targets]), [[false, ["download:alma", "verify:alma"]], [true, ["download:ubuntu", "verify:ubuntu"]]]);
  assert.deepEqual(lock(), before, "nothing is pinned by looking");
  assert.match(await good("update", "verify:alma"), /Nothing to update/);
  assert.deepEqual(lock(), before);
  assert.match(await good("update"), /24\.04\.4/);
  const id = idOf("ubuntu");
  assert.equal(lock()[id]!.sha256, server.digest(newer.iso));
  assert.deepEqual({ ...lock(), [id]: before[id] }, before, "the other entry is as it was");
  const from = server.seen.length;
  assert.match(await good("run", "--frozen"), /verify:ubuntu/);
  assert.deepEqual([...new Set(server.seen.slice(from))], [`ubuntu/${lock()[id]!.path}`], "the pinned image alone is asked for");
  await nothing();
  await refused(2, /IMG2653/, "outdated", "text:plain");
});

test("a clone with the lock file takes the same image, and makes the same media", async () => {
  await good("run", "verify:ubuntu");
  const digest = async (): Promise<string> => /"digest":"([0-9a-f]+)"/.exec((await imgtask("run", "--force", "--json", "verify:ubuntu")).stdout.split("\n").findLast((line) => line.includes("target done"))!)![1]!;
  const first = readFileSync(project.path(".imgtask/records"), "utf8").split("\n").findLast((line) => line.includes(`"target":"verify:ubuntu"`))!;
  const made = /"outputs":\{"out":\{[^}]*"digest":"([0-9a-f]+)"/.exec(first)![1];
  publish("new");
  project.rm(".imgtask");
  await good("run", "--frozen", "verify:ubuntu");
  assert.equal(await digest(), made, "the same tree, of the list's words at that time");
  assert.equal(lock()[idOf("ubuntu")]!.version, "24.04.3");
});

test("other bytes than those that are pinned are refused", async () => {
  await good("run", "verify:ubuntu");
  const id = idOf("ubuntu"), { sha256 } = lock()[id]!, wrong = "0".repeat(64);
  edit((media) => void (media[id]!.sha256 = wrong));
  const said = await refused(3, /IMG4080/, "run", "verify:ubuntu");
  assert.ok(said.includes(wrong) && said.includes(sha256), "both digests are named");
  assert.equal(lock()[id]!.sha256, wrong, "a refused build pins nothing");
  edit((media) => void (media[id]!.path = "../../etc/passwd"));
  await refused(2, /IMG2651/, "run", "verify:ubuntu");
});

test("without the lock file the newest is resolved anew", async () => {
  await good("run", "verify:ubuntu");
  publish("new");
  project.rm("imgtask.lock");
  assert.match(await good("run", "verify:ubuntu"), /verify:ubuntu/);
  assert.equal(lock()[idOf("ubuntu")]!.version, "24.04.4");
  await nothing("verify:ubuntu");
});

test("a list that is older than the accepted one is refused, signed or not", async () => {
  publish("new");
  await good("run", "verify:ubuntu");
  const text = project.read("imgtask.lock");
  publish("old");
  await refused(3, /IMG4047/, "outdated");
  await refused(3, /IMG4047/, "update");
  assert.equal(project.read("imgtask.lock"), text);
  await nothing("verify:ubuntu");
  // An entry without a pin still says what was accepted.
  edit((media) => void (media[idOf("ubuntu")] = { list: media[idOf("ubuntu")]!.list } as Entry));
  await refused(3, /IMG4047/, "run", "verify:ubuntu");
  const { list } = server.place(newer);
  server.files.set(list, Buffer.concat([lists.get("new")!, Buffer.from(`${"0".repeat(64)} *ubuntu-24.04.9-live-server-amd64.iso\n`)]));
  await refused(3, /IMG4005/, "update");
});

test("with --frozen nothing is pinned", async () => {
  await refused(5, /IMG2652/, "run", "--frozen", "verify:ubuntu");
  assert.equal(project.exists("imgtask.lock"), false);
  await good("run", "verify:ubuntu");
  await good("run", "--frozen", "verify:ubuntu");
  project.rm("imgtask.lock");
  await refused(5, /IMG2652/, "run", "--frozen", "verify:ubuntu");
});
