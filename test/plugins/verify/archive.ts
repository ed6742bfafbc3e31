/**
 * Makes small archives in Debian's format and signs them with throw-away keys, for tests that break them.
 * Knows nothing of the code under test.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { PackageMedia } from "../../../lib/mod.ts";

/** Bytes that do not compress and are always the same. */
export function noise(length: number, seed = "noise"): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i * 32 < length; i++) parts.push(createHash("sha256").update(`${seed}${i}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

export const kernel: Buffer = noise(20_000, "kernel");
export const initrd: Buffer = noise(300_000, "initrd");

/** Throw-away keys in a GnuPG home of their own. */
export interface Keys {
  readonly home: string;
  /** Makes a key; `time` as 20200101T000000 is when, `expire` as GnuPG takes it. */
  make(name: string, options?: { algorithm?: string; time?: string; expire?: string }): string;
  clearsign(text: string, signers: readonly string[], args?: readonly string[]): string;
  gpg(args: readonly string[], input?: string | Buffer): Buffer;
  /** A binary keyring of these keys. */
  keyring(fingerprints: readonly string[]): string;
  revoke(fingerprint: string): void;
  dispose(): void;
}

export function makeKeys(directory: string): Keys {
  const home = mkdtempSync(join(directory, "gpg-"));
  const gpg = (args: readonly string[], input: string | Buffer = ""): Buffer =>
    execFileSync("gpg", ["--homedir", home, "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", ...args], { input, stdio: ["pipe", "pipe", "ignore"] });
  let keyrings = 0;
  return {
    home,
    gpg,
    make(name, { algorithm = "ed25519", time, expire = "never" } = {}) {
      gpg([...(time === undefined ? [] : ["--faked-system-time", `${time}!`]), "--quick-gen-key", name, algorithm, "sign", expire]);
      return /^fpr:+([0-9A-F]{40}):/m.exec(gpg(["--list-keys", "--with-colons", `=${name}`]).toString())![1]!;
    },
    clearsign: (text, signers, args = []) => gpg([...args, ...signers.flatMap((key) => ["--local-user", key]), "--clearsign"], text).toString(),
    keyring(fingerprints) {
      const file = join(directory, `keyring-${keyrings++}.gpg`);
      writeFileSync(file, gpg(["--export", ...fingerprints]));
      return file;
    },
    revoke(fingerprint) {
      const certificate = readFileSync(join(home, "openpgp-revocs.d", `${fingerprint}.rev`), "utf8").replace(/^:-----BEGIN/m, "-----BEGIN");
      gpg(["--import"], certificate);
    },
    dispose: () => {
      execFileSync("gpgconf", ["--homedir", home, "--kill", "gpg-agent"]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface DebOptions {
  readonly name?: string;
  readonly version?: string;
  readonly without?: string;
  readonly link?: boolean;
}

/** Builds a package with the installer's two files in it. */
export function makeDeb(directory: string, { name = "installer-netboot", version = "1.0", without, link = false }: DebOptions = {}): Buffer {
  const root = mkdtempSync(join(directory, "deb-"));
  mkdirSync(join(root, "DEBIAN"));
  mkdirSync(join(root, "usr/lib/installer"), { recursive: true });
  writeFileSync(join(root, "DEBIAN/control"), `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: test\n`);
  writeFileSync(join(root, "DEBIAN/preinst"), `#!/bin/sh\ntouch "${join(directory, "SCRIPT-RAN")}"\n`, { mode: 0o755 });
  if (without !== "linux") writeFileSync(join(root, "usr/lib/installer/linux"), kernel);
  if (link) symlinkSync("/etc/passwd", join(root, "usr/lib/installer/initrd.gz"));
  else writeFileSync(join(root, "usr/lib/installer/initrd.gz"), initrd);
  const file = `${root}.deb`;
  execFileSync("dpkg-deb", ["--build", "--root-owner-group", root, file], { stdio: "ignore" });
  return readFileSync(file);
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A stanza of a Packages file. */
export function stanza(deb: Buffer, changes: Readonly<Record<string, string>> = {}): string {
  const fields = {
    Package: "installer-netboot",
    Version: "1.0",
    Architecture: "all",
    Filename: "pool/main/i/installer-netboot_1.0_all.deb",
    Size: String(deb.length),
    SHA256: sha256(deb),
    ...changes,
  };
  return Object.entries(fields).map(([key, value]) => `${key}: ${value}\n`).join("");
}

/** A Release file; `fields` replace or, when undefined, remove those of a good one. */
export function release(files: Readonly<Record<string, Buffer>>, fields: Readonly<Record<string, string | undefined>> = {}): string {
  const all: Record<string, string | undefined> = {
    Origin: "Testing",
    Label: "Testing",
    Suite: "stable",
    Codename: "wheel",
    Date: new Date(Date.now() - 3_600_000).toUTCString().replace("GMT", "UTC"),
    ...fields,
  };
  const head = Object.entries(all).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}: ${value!}\n`).join("");
  return `${head}SHA256:\n${Object.entries(files).map(([path, bytes]) => ` ${sha256(bytes)} ${bytes.length} ${path}\n`).join("")}`;
}

export function xz(bytes: Buffer | string): Buffer {
  return execFileSync("xz", ["-c"], { input: bytes });
}

export const media: PackageMedia = {
  kind: "package",
  distro: "testing",
  id: "testing-wheel-netboot",
  release: "wheel",
  arch: "x86_64",
  package: {
    archive: { mirrorEnv: "IMGTASK_TEST_MIRROR", defaultMirror: "http://127.0.0.1:9/testing", origin: "Testing", label: "Testing" },
    suite: "wheel",
    component: "main",
    architecture: "amd64",
    name: "installer-netboot",
  },
  files: { kernel: "usr/lib/installer/linux", initrd: "usr/lib/installer/initrd.gz" },
  answers: "preseed",
};

/** Files of a whole archive by path. */
export function makeArchive(deb: Buffer, sign: (text: string) => string, options: { byHash?: boolean; forms?: readonly string[]; packages?: string } = {}): Map<string, Buffer> {
  const plain = Buffer.from(options.packages ?? `Package: aaa\nVersion: 1\n\n${stanza(deb)}\nPackage: zzz\nVersion: 1\n`);
  const directory = "main/binary-amd64";
  const forms: Record<string, Buffer> = { "Packages": plain, "Packages.gz": gzipSync(plain), "Packages.xz": xz(plain) };
  const listed = Object.fromEntries(Object.entries(forms).filter(([form]) => form === "Packages" || (options.forms ?? Object.keys(forms)).includes(form)));
  const text = release(Object.fromEntries(Object.entries(listed).map(([form, bytes]) => [`${directory}/${form}`, bytes])), options.byHash === true ? { "Acquire-By-Hash": "yes" } : {});
  const files = new Map<string, Buffer>([["dists/wheel/InRelease", Buffer.from(sign(text))], ["pool/main/i/installer-netboot_1.0_all.deb", deb]]);
  for (const [form, bytes] of Object.entries(listed)) {
    files.set(`dists/wheel/${directory}/${form}`, bytes);
    if (options.byHash === true) files.set(`dists/wheel/${directory}/by-hash/SHA256/${sha256(bytes)}`, bytes);
  }
  return files;
}
