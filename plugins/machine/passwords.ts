/**
 * Passwords of a machine: which secrets hold them, and their hashes, made when a recipe runs.
 * A password itself goes to one command by its standard input, and nowhere else.
 * @module
 */
import { createHash } from "node:crypto";
import { type InstalledMachine, ImgtaskError, type Requirement, type RunContext, type Secrets, tool } from "../../lib/mod.ts";
import { passwordSecret, type ResolvedMachine } from "./params.ts";

/** A machine whose passwords are hashes, ready to be applied. */
export type ReadyMachine = Omit<ResolvedMachine, "users"> & {
  readonly users: readonly (Omit<ResolvedMachine["users"][number], "password"> & { readonly password: string | undefined })[];
};

/** The secrets that a target must declare to make something of a machine. */
export function machineSecrets(machine: InstalledMachine): Secrets {
  return Object.fromEntries(machine.users.flatMap(({ name, password }) => (password === undefined || "hash" in password ? [] : [[passwordSecret(name), password]])));
}

/** The tools that a target must declare to make something of a machine: none without passwords to hash. */
export function passwordTools(machine: InstalledMachine): readonly Requirement[] {
  return Object.keys(machineSecrets(machine)).length === 0 ? [] : [tool("openssl", { versionArgs: ["version"], min: "1.1.1", packages: { apt: "openssl", dnf: "openssl" } })];
}

/**
 * Hashes the passwords of a machine (SHA-512, crypt(5)).
 *
 * The salt follows from the names of machine and account, so that the same password gives the same bytes; it is as
 * public as the hash beside it, and differs between accounts, which is what a salt is for.
 *
 * @throws {ImgtaskError} IMG3232 for a password with a line break or NUL, which no login could take.
 */
export async function withPasswords(machine: ResolvedMachine, context: Pick<RunContext, "exec"> & { readonly secrets: Readonly<Record<string, string>> }): Promise<ReadyMachine> {
  const users: ReadyMachine["users"][number][] = [];
  for (const user of machine.users) {
    const { password } = user;
    users.push({ ...user, password: password === undefined ? undefined : "hash" in password ? password.hash : await hash(password.secret, user.name) });
  }
  return { ...machine, users };

  async function hash(secret: string, name: string): Promise<string> {
    const value = context.secrets[secret] ?? "";
    if (value === "" || /[\0\r\n]/.test(value)) {
      throw new ImgtaskError("IMG3232", `The password of user "${name}" cannot be typed at a login`, { expected: "one line that is not empty" });
    }
    const salt = createHash("sha256").update(`${machine.hostname}\0${name}`).digest("hex").slice(0, 16);
    const { stdout } = await context.exec(["openssl", "passwd", "-6", "-salt", salt, "-stdin"], { input: `${value}\n`, stdout: "capture" });
    return stdout.trim();
  }
}
