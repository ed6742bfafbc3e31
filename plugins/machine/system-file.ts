/**
 * Files that follow from a machine description without being named in it: archives of packages and their keys, rules
 * for passwords, rights of accounts.
 * Text of formats whose values were checked by `machine()`; knows neither images nor installers.
 *
 * Formats: sources.list(5) (deb822), yum.conf(5), pwquality.conf(5), sudoers(5).
 * @module
 */
import { readFileSync } from "node:fs";
import { ImgtaskError } from "../../lib/mod.ts";
import type { ReadyMachine } from "./passwords.ts";

/** A file of the system. */
export interface SystemFile {
  /** Absolute path on the machine. */
  readonly path: string;
  readonly content: Buffer;
  /** Permission bits. @default 0o644 */
  readonly mode?: number;
}

/** The line of sudoers(5) that gives an account its rights. */
export function sudoersFile({ name, sudo }: ReadyMachine["users"][number]): SystemFile | undefined {
  if (sudo === "none") return undefined;
  return { path: `/etc/sudoers.d/${name}`, mode: 0o440, content: Buffer.from(`${name} ALL=(ALL:ALL) ${sudo === "nopasswd" ? "NOPASSWD: " : ""}ALL\n`) };
}

/** Whether public keys are armored: binary ones hold no such text. */
function isArmored(key: Buffer): boolean {
  return key.subarray(0, 64 * 1024).includes("-----BEGIN PGP PUBLIC KEY BLOCK-----");
}

function keyOf(repository: ReadyMachine["repositories"][number]): Buffer {
  const key = readFileSync(repository.key);
  // Packet tags of RFC 4880, 4.2: 6 is a public key, in the old and the new form of its header.
  const binary = key[0] !== undefined && ((key[0] & 0xfc) === 0x98 || key[0] === 0xc6);
  if (key.includes("PRIVATE KEY BLOCK") || !(isArmored(key) || (binary && repository.type === "apt"))) {
    throw new ImgtaskError("IMG3233", `The key file of repository "${repository.name}" holds no public keys`, {
      expected: repository.type === "apt" ? "OpenPGP public keys, armored or binary" : "armored OpenPGP public keys",
      found: key.includes("PRIVATE KEY BLOCK") ? "a private key" : `${key.length} bytes of something else`,
    });
  }
  return key;
}

/**
 * The files of an archive of packages: where it is, and its keys.
 *
 * @throws {ImgtaskError} IMG3233 for a key file that holds no public keys.
 */
export function repositoryFiles(repository: ReadyMachine["repositories"][number]): readonly SystemFile[] {
  const { name, url } = repository;
  const key = keyOf(repository);
  if (repository.type === "apt") {
    const keyring = `/etc/apt/keyrings/${name}.${isArmored(key) ? "asc" : "gpg"}`;
    const fields = { Types: "deb", URIs: url, Suites: repository.suites.join(" "), Components: repository.components.join(" "), "Signed-By": keyring };
    return [
      { path: keyring, content: key },
      { path: `/etc/apt/sources.list.d/${name}.sources`, content: Buffer.from(Object.entries(fields).map(([field, value]) => `${field}: ${value}\n`).join("")) },
    ];
  }
  const keyring = `/etc/pki/rpm-gpg/RPM-GPG-KEY-${name}`;
  const settings = { name: repository.title, baseurl: url, enabled: "1", gpgcheck: "1", gpgkey: `file://${keyring}` };
  return [
    { path: keyring, content: key },
    { path: `/etc/yum.repos.d/${name}.repo`, content: Buffer.from(`[${name}]\n${Object.entries(settings).map(([field, value]) => `${field}=${value}\n`).join("")}`) },
  ];
}

function qualityFile({ minLength, minClasses }: NonNullable<ReadyMachine["passwordPolicy"]>): readonly SystemFile[] {
  const settings = [["minlen", minLength], ["minclass", minClasses]].filter(([, value]) => value !== undefined);
  if (settings.length === 0) return [];
  return [{ path: "/etc/security/pwquality.conf.d/50-imgtask.conf", content: Buffer.from(settings.map(([key, value]) => `${key} = ${value}\n`).join("")) }];
}

/** The files of a machine's rules for passwords. */
export function systemFiles(machine: ReadyMachine): readonly SystemFile[] {
  return machine.passwordPolicy === undefined ? [] : qualityFile(machine.passwordPolicy);
}

/** The lines of a user's authorized_keys: those given as text, and those of files. */
export function keyLines(keys: ReadyMachine["users"][number]["sshKeys"], user: string): readonly string[] {
  return [...new Set(keys.flatMap((key) => ("line" in key ? [key.line] : publicKeys(key.file, user))))];
}

/** The lines of a file of public keys. */
function publicKeys(file: string, user: string): readonly string[] {
  const text = readFileSync(file, "utf8");
  const bad = (found: string): ImgtaskError =>
    new ImgtaskError("IMG3222", `Bad SSH key file for user "${user}"`, { expected: "lines of authorized_keys, such as \"ssh-ed25519 AAAA… comment\"", found });
  if (text.includes("PRIVATE KEY")) throw bad("a private key; the public one is in the file that ends in .pub");
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"));
  const wrong = lines.find((line) => !/^[\x20-\x7e\u00a0-\uffff]*\b(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]{16,}/.test(line));
  if (lines.length === 0) throw bad("no key");
  if (wrong !== undefined) throw bad(JSON.stringify(wrong.slice(0, 60)));
  return lines;
}
