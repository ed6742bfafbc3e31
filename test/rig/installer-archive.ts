/**
 * An archive from which Debian's installer can install: what the host's mirror has is passed on, and installer
 * components (udebs) that it lacks are put together from the packages it has. Signed with a key of its own.
 *
 * Mirrors that keep only packages people install lack some udebs, and the kernel's are those of the newest kernel
 * alone. Repacked are real files: the modules of the very kernel that the installer runs, as `linux-image` has them,
 * divided as the udebs of another version of it are; and programs with their libraries.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { cpio } from "../../plugins/customize/cpio.ts";
import { aptSources } from "./apt-sources.ts";
import { repository } from "./project.ts";

/** A paragraph of an index. */
type Paragraph = Readonly<Record<string, string>>;

/** An archive that is being served on the loopback interface. */
export interface InstallerArchive {
  /** Port on 127.0.0.1; paths begin with `/debian`. */
  readonly port: number;
  /** Suite of the installer's components, for `mirror/udeb/suite`. */
  readonly udebSuite: string;
  /** Binary keyring with the key that signs that suite. */
  readonly keyring: string;
  /** An initial file system that leads an installer with these answers to that suite and key. */
  readonly site: (answers: string) => Uint8Array;
  /** Components that were put together here. */
  readonly repacked: readonly string[];
  /** Paths that were asked for, as they came. */
  readonly asked: readonly string[];
  close(): void;
}

const udebSuite = "rig";

/** Components made of the files of packages: which packages, and which of their files. */
const programs: Readonly<Record<string, { readonly from: readonly RegExp[]; readonly keep: RegExp }>> = {
  "e2fsprogs-udeb": {
    from: [/^e2fsprogs$/, /^libext2fs2t64$/, /^libcom-err2$/, /^libss2$/],
    keep: /\/sbin\/(mke2fs|mkfs\.ext\d|e2fsck|fsck\.ext\d|tune2fs|e2label|resize2fs)$|\/etc\/mke2fs\.conf$|\.so\.\d/,
  },
  "libmount1-udeb": { from: [/^libmount1$/], keep: /\.so\.\d/ },
  "ntfs-3g-udeb": { from: [/^ntfs-3g$/, /^libntfs-3g\d+(t64)?$/], keep: /\/s?bin\/(mkntfs|mkfs\.ntfs|ntfsresize|ntfs-3g|mount\.ntfs.*)$|\.so\.\d/ },
};

/** Sets of kernel modules. */
const moduleSets = /-modules-/;

function paragraphs(text: string): readonly Paragraph[] {
  return text.split("\n\n").filter((block) => block.trim() !== "").map((block) =>
    Object.fromEntries(block.replaceAll(/\n[ \t]/g, " ").trim().split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]))
  );
}

async function get(url: string): Promise<Buffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Fetches by a list's digest. */
async function fetchPackage(mirror: string, entry: Paragraph, directory: string): Promise<string> {
  const file = join(directory, entry["Filename"]!.split("/").at(-1)!);
  if (existsSync(file)) return file;
  const bytes = await get(`${mirror}/${entry["Filename"]!}`);
  if (sha256(bytes) !== entry["SHA256"]) throw new Error(`${entry["Filename"]!} is not what the list says`);
  writeFileSync(file, bytes);
  return file;
}

/** The signed list of a suite, proven by Debian's pinned keys, and a way to an index that it vouches for. */
async function suiteIndexes(mirror: string, suite: string, directory: string): Promise<(path: string) => Promise<readonly Paragraph[]>> {
  const signed = join(directory, "InRelease"), plain = join(directory, "InRelease.plain");
  writeFileSync(signed, await get(`${mirror}/dists/${suite}/InRelease`));
  rmSync(plain, { force: true });
  execFileSync("gpgv", ["--quiet", "--keyring", join(repository, "vendor/debian/archive.gpg"), "--output", plain, signed], { stdio: ["ignore", "ignore", "pipe"] });
  const release = readFileSync(plain, "utf8");
  return async (path) => {
    const bytes = await get(`${mirror}/dists/${suite}/${path}`);
    if (!release.includes(` ${sha256(bytes)} `)) throw new Error(`${path} is not in the signed list`);
    return paragraphs(execFileSync("xz", ["-dc"], { input: bytes, maxBuffer: 2 ** 28 }).toString());
  };
}

function filesBelow(directory: string): readonly string[] {
  return (readdirSync(directory, { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}

/** Builds one component; its description is the archive's own, with a version that sorts behind it. */
function pack(entry: Paragraph, root: string, file: string): void {
  const wanted = ["Package", "Version", "Architecture", "Maintainer", "Depends", "Provides", "Section", "Priority", "Kernel-Version", "Description"];
  mkdirSync(join(root, "DEBIAN"));
  writeFileSync(join(root, "DEBIAN/control"), wanted.filter((key) => entry[key] !== undefined).map((key) => `${key}: ${entry[key]!}\n`).join(""));
  const making = `${file}.new`;
  execFileSync("dpkg-deb", ["--root-owner-group", "-Zxz", "-z1", "--build", root, making], { stdio: "ignore" });
  renameSync(making, file);
}

/** What the index says of a component made here. */
function described(entry: Paragraph, file: string, path: string): Paragraph {
  const bytes = readFileSync(file);
  return { ...entry, Filename: path, Size: String(bytes.length), SHA256: sha256(bytes), MD5sum: createHash("md5").update(bytes).digest("hex") };
}

/**
 * Makes and serves the archive.
 *
 * @param kernel version of the installer's kernel, as `uname -r` prints it.
 * @param directory empty, or of an earlier call with the same kernel.
 * @param host by which the installer reaches this archive, with a port where it is not 80. @default "10.0.2.2"
 */
export async function installerArchive({ release, kernel, directory, host = "10.0.2.2" }: { readonly release: "trixie"; readonly kernel: string; readonly directory: string; readonly host?: string }): Promise<InstallerArchive> {
  const mirrors = aptSources(release).map((line) => line.split(" ")).map(([, address = "", suite = ""]) => ({ address: address.replace(/\/$/, ""), suite }));
  const mirror = mirrors[0]!.address;
  const security = mirrors.find(({ suite }) => suite.endsWith("-security"))!.address;
  const made = join(directory, "made"), cache = join(directory, "cache"), work = join(directory, "work");
  for (const one of [made, cache, work]) mkdirSync(one, { recursive: true });
  const index = await suiteIndexes(mirror, release, directory);
  const udebs = await index("main/debian-installer/binary-amd64/Packages.xz");
  const debs = await index("main/binary-amd64/Packages.xz");
  // What a mirror has of a list does not change; asking takes minutes.
  const answered = join(directory, `there-${sha256(Buffer.from(JSON.stringify(udebs))).slice(0, 16)}.json`);
  const there = new Map<string, boolean>(existsSync(answered) ? JSON.parse(readFileSync(answered, "utf8")) as [string, boolean][] : []);
  const queue = udebs.filter((one) => !there.has(one["Filename"]!));
  await Promise.all(Array.from({ length: 6 }, async () => {
    for (let one = queue.pop(); one !== undefined; one = queue.pop()) there.set(one["Filename"]!, (await fetch(`${mirror}/${one["Filename"]!}`, { method: "HEAD" })).ok);
  }));
  writeFileSync(answered, JSON.stringify([...there]));
  const repacked: Paragraph[] = [];
  const unpack = async (pattern: RegExp): Promise<string> => {
    const deb = debs.find((one) => pattern.test(one["Package"]!));
    if (deb === undefined) throw new Error(`no package ${String(pattern)}`);
    const to = join(work, deb["Package"]!);
    if (!existsSync(to)) execFileSync("dpkg-deb", ["-x", await fetchPackage(mirror, deb, cache), to]);
    return to;
  };
  for (const udeb of udebs.filter((one) => there.get(one["Filename"]!) === false)) {
    const name = udeb["Package"]!;
    const file = `${name}_${udeb["Version"]!.replaceAll(/[^A-Za-z0-9.+~-]/g, "_")}_amd64.udeb`;
    if (existsSync(join(made, file))) {
      repacked.push(described(udeb, join(made, file), `made/${file}`));
      continue;
    }
    const root = join(work, `root-${name}`);
    rmSync(root, { recursive: true, force: true });
    const program = programs[name];
    if (program !== undefined) {
      for (const pattern of program.from) {
        const tree = await unpack(pattern);
        for (const file of filesBelow(tree).filter((path) => program.keep.test(path))) {
          // The installer has one directory of libraries.
          const to = join(root, file.slice(tree.length).replace("/x86_64-linux-gnu", ""));
          mkdirSync(dirname(to), { recursive: true });
          cpSync(file, to, { verbatimSymlinks: true });
        }
      }
    } else if (moduleSets.test(name) && udeb["Kernel-Version"] === kernel) {
      const pattern = name.replace(kernel, "").replace("--di", "-");
      const model = udebs.find((one) => one["Package"]!.startsWith(pattern) && there.get(one["Filename"]!) === true);
      if (model === undefined) continue;
      const list = join(work, `model-${name}`);
      rmSync(list, { recursive: true, force: true });
      execFileSync("dpkg-deb", ["-x", await fetchPackage(mirror, model, cache), list]);
      const image = await unpack(new RegExp(`^linux-image-${kernel.replaceAll(/[.+]/g, "\\$&")}$`));
      mkdirSync(root);
      for (const file of filesBelow(list)) {
        const path = file.slice(list.length).replace(model["Kernel-Version"]!, kernel);
        const from = [join(image, "usr", path), join(image, path)].find((one) => existsSync(one));
        if (from === undefined) continue;
        mkdirSync(dirname(join(root, path)), { recursive: true });
        cpSync(from, join(root, path));
      }
    } else continue;
    pack(udeb, root, join(made, file));
    repacked.push(described(udeb, join(made, file), `made/${file}`));
  }
  const kept = udebs.filter((one) => there.get(one["Filename"]!) === true && (one["Kernel-Version"] ?? kernel) === kernel);
  const text = [...kept, ...repacked].map((one) => Object.entries(one).map(([key, value]) => `${key}: ${value}\n`).join("")).join("\n");
  const path = "main/debian-installer/binary-amd64/Packages";
  const list = join(made, "Release");
  writeFileSync(join(made, "Packages"), text);
  writeFileSync(list, `Origin: rig\nSuite: ${udebSuite}\nCodename: ${release}\nArchitectures: amd64\nComponents: main\nDate: ${new Date().toUTCString()}\nSHA256:\n ${sha256(Buffer.from(text))} ${Buffer.byteLength(text)} ${path}\n`);
  const home = join(directory, "gpg"), keyring = join(directory, "rig.gpg");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const gpg = (...args: readonly string[]): void => void execFileSync("gpg", ["--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  if (!existsSync(keyring)) {
    gpg("--quick-generate-key", "Archive of the rig <rig@example.org>", "ed25519", "sign", "never");
    gpg("--output", keyring, "--export");
  }
  gpg("--armor", "--output", `${list}.gpg`, "--detach-sign", list);
  execFileSync("gpgconf", ["--homedir", home, "--kill", "all"], { stdio: "ignore" });

  // What a site has of its own, as a further initial file system. Not by DHCP: without a router, which a machine that sees
  // nothing but this archive has not, the script of Debian 13's DHCP client ends before it notes what it was told.
  const site = [
    `d-i apt-setup/security_host string ${host}`,
    // What makes an emulated installation long and tells nothing of it: drivers of hardware that is not there, what
    // packages recommend, and a kernel that is replaced as soon as it is installed.
    "d-i base-installer/kernel/image string linux-image-cloud-amd64",
    "d-i base-installer/install-recommends boolean false",
    "d-i apt-setup/services-select multiselect",
    "d-i pkgsel/upgrade select none",
  ].map((line) => `${line}\n`).join("");

  const asked: string[] = [];
  const local: Readonly<Record<string, string>> = { [`dists/${udebSuite}/Release`]: list, [`dists/${udebSuite}/Release.gpg`]: `${list}.gpg`, [`dists/${udebSuite}/${path}`]: join(made, "Packages") };
  const server: Server = createServer((request, response) => {
    const full = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname);
    const wanted = full.replace(/^\/debian\//, "");
    asked.push(full);
    const file = local[wanted] ?? (/^made\/[^/]+$/.test(wanted) ? join(made, wanted.slice(5)) : undefined);
    if (file !== undefined && existsSync(file)) {
      const bytes = readFileSync(file);
      response.writeHead(200, { "content-length": bytes.length }).end(bytes);
      return;
    }
    const headers: Record<string, string> = {};
    for (const key of ["range", "if-range", "if-modified-since"]) {
      const value = request.headers[key];
      if (typeof value === "string") headers[key] = value;
    }
    const from = full.startsWith("/debian-security/") ? `${security}/${full.slice("/debian-security/".length)}` : `${mirror}/${wanted}`;
    fetch(from, { method: request.method ?? "GET", headers }).then((answer) => {
      const passed = ["content-length", "content-range", "last-modified", "etag", "accept-ranges"].flatMap((key) => {
        const value = answer.headers.get(key);
        return value === null ? [] : [[key, value] as const];
      });
      response.writeHead(answer.status, Object.fromEntries(passed));
      if (answer.body === null || request.method === "HEAD") response.end();
      else Readable.fromWeb(answer.body as never).on("error", () => response.destroy()).pipe(response);
    }, () => response.writeHead(502).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    udebSuite,
    keyring,
    site: (answers) => cpio([
      { path: "preseed.cfg", mode: 0o644, content: Buffer.from(answers + site) },
      { path: "etc/udebs-source", mode: 0o644, content: Buffer.from(`${udebSuite}\n`) },
      // What debootstrap trusts, and the key of the components' list.
      { path: "usr/share/keyrings/archive.gpg", mode: 0o644, content: Buffer.concat([readFileSync(join(repository, "vendor/debian/archive.gpg")), readFileSync(keyring)]) },
    ], 0),
    repacked: repacked.map((one) => one["Package"]!),
    asked,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
