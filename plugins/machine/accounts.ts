/**
 * Accounts of an image: who is in its passwd and group files, and how an account of a machine gets there.
 * Knows nothing of the rest of a machine.
 * @module
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Argv, ImgtaskError } from "../../lib/mod.ts";
import { followInside, hasInside, inImage, pathInside } from "./inside.ts";
import type { ReadyMachine } from "./passwords.ts";
import { keyLines, sudoersFile } from "./system-file.ts";

type User = ReadyMachine["users"][number];

function entries(root: string, file: string): readonly (readonly string[])[] {
  const path = followInside(root, file);
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").split("\n").filter((line) => line !== "").map((line) => line.split(":"));
}

/** The numeric id of a user or group of the image, given by name or number. */
export function idOf(root: string, kind: "passwd" | "group", name: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  const id = entries(root, `/etc/${kind}`).find((entry) => entry[0] === name)?.[2];
  if (id !== undefined) return Number(id);
  throw new ImgtaskError("IMG3221", `The machine has no ${kind === "passwd" ? "user" : "group"} "${name}"`, {
    hint: "Add it to `users`, or the package that makes it to `packages`",
  });
}

/** Makes an account, locked until {@linkcode finishSteps} gives it its password, with its keys and its rights. */
export function addUser(root: string, user: User): void {
  for (const group of user.groups) idOf(root, "group", group);
  if (!hasInside(root, user.shell)) {
    throw new ImgtaskError("IMG3223", `User "${user.name}" has the shell "${user.shell}", which the machine lacks`, { hint: "Add its package to `packages`" });
  }
  if (entries(root, "/etc/passwd").some((entry) => entry[0] === user.name)) {
    throw new ImgtaskError("IMG3224", `User "${user.name}" exists already`, { hint: "A package of the machine made it; choose another name" });
  }
  const argv: Argv = [
    "useradd",
    "--create-home",
    "--no-log-init",
    "--shell", user.shell,
    ...(user.fullName === "" ? [] : ["--comment", user.fullName]),
    ...(user.uid === undefined ? [] : ["--uid", String(user.uid)]),
    ...(user.groups.length === 0 ? [] : ["--groups", user.groups.join(",")]),
    user.name,
  ];
  inImage(root, argv);
  if (user.sshKeys.length > 0) addKeys(root, user);
  if (user.sudo !== "none") addSudo(root, user);
}

function addKeys(root: string, user: User): void {
  const lines = keyLines(user.sshKeys, user.name);
  const entry = entries(root, "/etc/passwd").find(([name]) => name === user.name)!;
  const uid = Number(entry[2]), gid = Number(entry[3]);
  const directory = pathInside(root, `${entry[5]}/.ssh`);
  // The skeleton may have one; it belongs to the user by now.
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o700);
  chownSync(directory, uid, gid);
  const file = pathInside(root, `${entry[5]}/.ssh/authorized_keys`);
  rmSync(file, { force: true });
  writeFileSync(file, `${lines.join("\n")}\n`);
  chmodSync(file, 0o600);
  chownSync(file, uid, gid);
}

function addSudo(root: string, user: User): void {
  if (!hasInside(root, "/usr/bin/sudo")) {
    throw new ImgtaskError("IMG3225", `User "${user.name}" is to use sudo, which is not installed`, { hint: "Add \"sudo\" to the machine's `packages`" });
  }
  const { path, content } = sudoersFile(user)!;
  const file = pathInside(root, path);
  rmSync(file, { force: true });
  writeFileSync(file, content);
  chmodSync(file, 0o440);
  if (hasInside(root, "/usr/sbin/visudo")) inImage(root, ["visudo", "-c", "-q", "-f", path]);
}
