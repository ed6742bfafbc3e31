/**
 * Accounts of a machine: who they are, how they come in, and what they may do.
 * Plain, checked data.
 * @module
 */
import type { Input, Source } from "../artifact.ts";
import type { Secret } from "../secret.ts";
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { account, check, checkPart, isLine, isMachinePath, isWhole } from "./check.ts";

/** A password as crypt(5) keeps it, such as `mkpasswd` and `openssl passwd -6` print. */
export interface PasswordHash {
  /** `$y$…`, `$6$…`, `$5$…` or `$2b$…`; a plain password, MD5 and DES are refused. */
  readonly hash: string;
}

/** An account on the machine. */
export interface User {
  /** Login name: a small letter or `_`, then small letters, digits, `_`, `-`; 32 characters at most. */
  readonly name: string;
  /** Name for people, without `:` and `,`. @default "" */
  readonly fullName?: string;
  /** Numeric id. @default the next free one */
  readonly uid?: number;
  /** Further groups; missing ones are an error. @default [] */
  readonly groups?: readonly string[];
  /** @default "/bin/bash" */
  readonly shell?: string;
  /**
   * What it may do as root: all without a password, all with its password, or nothing. Written to
   * `/etc/sudoers.d/NAME`, mode 0440. @default "none"
   */
  readonly sudo?: "nopasswd" | "password" | "none";
  /** Public keys: lines of authorized_keys, or files that hold them. @default [] */
  readonly sshKeys?: readonly (string | Source | Input<"ssh public key">)[];
  /** A handle to the password, which is hashed when an answer file or image is made, or its hash. @default locked: people come in by key */
  readonly password?: Secret | PasswordHash;
}

/** An account with every default filled in. */
export type FullUser = Required<Omit<User, "uid" | "password">> & Pick<User, "uid" | "password">;

const fits: Fits<User> = {
  name: fit.needed(fit.text),
  fullName: fit.text,
  uid: fit.number,
  groups: fit.texts,
  shell: fit.text,
  sudo: fit.text,
  sshKeys: fit.list,
  password: fit.by(`a handle such as secret.env("PASSWORD"), or { hash: "$6$…" }`, fit.isObject),
};
const hashFits: Fits<PasswordHash> = { hash: fit.needed(fit.text) };

/** The forms of crypt(5) that a login accepts and that take work to try; `$id$…` with the characters they are made of. */
const hashed = /^\$(y|gy|7|6|5|2[aby])\$[./A-Za-z0-9$=,]{20,}$/;

function checkPassword(user: User): void {
  const { password } = user;
  if (password === undefined) return;
  if ("hash" in password) {
    checkPart(password, hashFits, "a password");
    // Never in the message: a plain password that was put here by mistake stays out of logs.
    check(hashed.test(password.hash), `password of "${user.name}"`, "not shown", "a hash as crypt(5) knows it, starting with $y$, $6$, $5$ or $2b$");
  } else {
    check(password.type === "secret", `password of "${user.name}"`, "not shown", `a handle such as secret.env("PASSWORD"), or { hash: "$6$…" }`);
  }
}

/** Checks an account and fills in its defaults. */
export function fullUser(user: User): FullUser {
  checkPart(user, fits, "a user");
  check(account.test(user.name), "user name", user.name, "a small letter, then small letters, digits, _ or -; 32 at most");
  check(user.name !== "root", "user name", user.name, "an account other than root");
  check(isLine(user.fullName ?? "") && !/[:,\\]/.test(user.fullName ?? "") && (user.fullName ?? "").trim() === (user.fullName ?? ""), "full name", user.fullName, "one line without \":\", \",\" and \"\\\", and without white space around it");
  check(user.uid === undefined || isWhole(user.uid, 1000, 59999), "uid", user.uid, "1000 to 59999");
  for (const name of user.groups ?? []) check(account.test(name), "group", name, "a group name");
  check(isMachinePath(user.shell ?? "/bin/bash") && !/[:,"'\s]/.test(user.shell ?? ""), "shell", user.shell, "an absolute path");
  check(["nopasswd", "password", "none"].includes(user.sudo ?? "none"), "sudo", user.sudo, `"nopasswd", "password" or "none"`);
  check(user.sudo !== "password" || user.password !== undefined, "sudo", user.sudo, `a password of "${user.name}" to ask for, or "nopasswd"`);
  for (const key of user.sshKeys ?? []) {
    if (typeof key === "string") check(isLine(key) && /^\S+ \S+/.test(key), "SSH key", key, "one line of authorized_keys");
  }
  checkPassword(user);
  return {
    name: user.name,
    fullName: user.fullName ?? "",
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: [...(user.groups ?? [])],
    shell: user.shell ?? "/bin/bash",
    sudo: user.sudo ?? "none",
    sshKeys: [...(user.sshKeys ?? [])],
    ...(user.password === undefined ? {} : { password: user.password }),
  };
}
