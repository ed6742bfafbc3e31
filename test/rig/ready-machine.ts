/**
 * A machine as a recipe would see it, without running one: handles to files become paths below a directory, secrets
 * are not hashed but taken as hashes.
 * @module
 */
import { join } from "node:path";
import type { InstalledMachine } from "../../lib/mod.ts";
import { machineParams } from "../../plugins/machine/params.ts";
import type { ReadyMachine } from "../../plugins/machine/passwords.ts";

/** Of a password that a secret holds. */
export const secretHash = "$6$secretsecretsecr$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/** @param directory where the machine's sources are. */
export function ready(machine: InstalledMachine, directory = "/nonexistent"): ReadyMachine {
  const params = machineParams(machine);
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== "object" || value === null) return value;
    if ((value as { type?: string }).type === "source") return join(directory, (value as unknown as { path: string }).path);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)]));
  };
  const users = params.users.map(({ password, ...user }) => ({ ...user, password: password === undefined ? undefined : "hash" in password ? password.hash : secretHash }));
  return fill({ ...params, users }) as ReadyMachine;
}
