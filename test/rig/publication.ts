/**
 * A project that publishes a signed disk and a signed installer with all documents, made by the real command line from
 * small stand-ins of images. Knows nothing of what is tested.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatChecksums } from "../../lib/checksums.ts";
import { generateKey, publicKeyFile, type SecretKey } from "../../lib/minisign-key.ts";
import { prehash, sign } from "../../lib/minisign.ts";
import { TestProject } from "./project.ts";

const imagefile = `
import { directory, minisign, output, publish, sbom, secret, source, target, tool } from "imgtask";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = target("rootfs:x", {
  inputs: { files: source("root") }, params: { distro: "debian", release: "bookworm" }, tools: [tool("tar", { packages: { apt: "tar" } })],
  outputs: { out: output("file", "rootfs"), packages: "file" }, platform: "x86_64",
  async run({ inputs, outputs, exec }) {
    await exec(["tar", "--create", "--sort=name", "--mtime=@0", "--file", outputs.out, "--directory", inputs.files, "."]);
    writeFileSync(outputs.packages, "one 1.0 amd64\\n");
  },
});
const disk = target("disk:x", {
  inputs: { root }, outputs: { out: output("file", "disk", { path: "artifacts/disk/x.qcow2" }) }, platform: "x86_64",
  run: ({ inputs, outputs }) => writeFileSync(outputs.out, Buffer.concat([Buffer.from("disk of "), readFileSync(inputs.root)])),
});
const media = target("verify:x", {
  params: { media: { id: "debian-bookworm-netboot-amd64", distro: "debian", release: "bookworm" } }, outputs: { out: output("tree", "verified media") },
  run({ outputs }) {
    mkdirSync(outputs.out);
    const kernel = Buffer.alloc(4096);
    kernel.write("HdrS", 0x202, "latin1");
    kernel.writeUInt16LE(0x400, 0x20e);
    kernel.write("6.1.0-9-amd64 (builder) #1\\0", 0x600, "latin1");
    writeFileSync(join(outputs.out, "linux"), kernel);
    writeFileSync(join(outputs.out, "media.json"), JSON.stringify({
      kind: "package", id: "debian-bookworm-netboot-amd64", distro: "debian", release: "bookworm", arch: "x86_64", files: {}, package: { name: "installer", version: "1", sha256: "${"ab".repeat(32)}", size: 3 },
      signature: { fingerprint: "${"A1".repeat(20)}", userId: "Archive <a@example.org>", signedAt: "2026-01-01T00:00:00.000Z" }, date: "2026-01-02T00:00:00.000Z",
    }));
  },
});
const iso = target("iso:x", {
  inputs: { media }, outputs: { out: output("file", "iso", { path: "artifacts/iso/x.iso" }) }, platform: "x86_64",
  run: ({ inputs, outputs }) => writeFileSync(outputs.out, readFileSync(join(inputs.media, "linux"))),
});
const boots = { ...target("test:x", { inputs: { disk }, outputs: { out: output("file", "test report") }, run: ({ outputs }) => writeFileSync(outputs.out, "<testsuite/>") }), boots: "disk:x" } as const;
export default publish("release", {
  artifacts: [disk, iso], tests: [boots], untested: "the installer is tried by hand", sboms: [sbom("x", { from: root })],
  to: directory("place"), sign: minisign({ key: secret.file("SECRET") }),
});
`;

/** The project, published. */
export interface Publication {
  readonly project: TestProject;
  /** Directory that it published to. */
  readonly place: string;
  readonly key: SecretKey;
  /** Names of the published artifacts. */
  readonly disk: "disk-x.qcow2";
  readonly iso: "iso-x.iso";
  /** Commit of the imagefile. */
  readonly commit: string;
}

/** Publishes; with a repository of git around the project. */
export async function publication(outer: string): Promise<Publication> {
  const key = generateKey();
  const secretFile = join(outer, "release.key");
  writeFileSync(secretFile, await key.file(), { mode: 0o600 });
  writeFileSync(join(outer, "release.pub"), publicKeyFile(key.publicKey));
  const project = new TestProject({
    "imagefile.ts": imagefile.replace("SECRET", secretFile),
    ".gitignore": "node_modules\nplace\n",
    "root/usr/lib/os-release": `ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n`,
    "root/boot/vmlinuz-6.1.0-9-cloud-amd64": "kernel",
    "root/var/lib/dpkg/status": ["one", "two"].map((name) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\nMaintainer: Me <me@example.org>\n${name === "one" ? "Depends: two\n" : ""}Description: thing\n\n`).join(""),
  });
  const git = (...words: readonly string[]): string =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", ...words], { cwd: project.directory, encoding: "utf8" }).trim();
  git("init", "--quiet");
  git("remote", "add", "origin", "https://user:hunter22@git.example.org/images.git");
  git("add", "imagefile.ts", ".gitignore", "root", "package.json");
  git("commit", "--quiet", "-m", "Images");
  return { project, place: project.path("place"), key, disk: "disk-x.qcow2", iso: "iso-x.iso", commit: git("rev-parse", "HEAD") };
}

/** Writes the list of a place anew and signs it: for what somebody could do who has the key, or to try one. */
export function relist(place: string, key: SecretKey): void {
  const names = readdirSync(place, { recursive: true, encoding: "utf8" }).filter((name) => statSync(join(place, name)).isFile() && !name.endsWith(".minisig") && name !== "SHA256SUMS");
  const text = formatChecksums(names.map((name) => ({ name, sha256: createHash("sha256").update(readFileSync(join(place, name))).digest("hex") })));
  writeFileSync(join(place, "SHA256SUMS"), text);
  writeFileSync(join(place, "SHA256SUMS.minisig"), sign({ prehash: prehash(Buffer.from(text)) }, key, { trustedComment: "timestamp:1\tfile:SHA256SUMS\thashed" }));
}
