/**
 * Argument vectors that start a command in namespaces of its own. Pure: builds them, runs nothing.
 * @module
 */
import type { Argv } from "./target.ts";

/** Who starts the command. */
export interface Caller {
  /** Effective user id; 0 is root. */
  readonly uid: number;
}

/**
 * Puts a command into private mount and process namespaces in which it is root. An ordinary user gets a user
 * namespace with all its subordinate ids (`/etc/subuid`). All its processes die with the first of them, and all
 * its mounts with them, so nothing of it can be left on the host.
 *
 * Needs `unshare` of util-linux >= 2.38, and for ordinary users `newuidmap` of uidmap.
 *
 * @example
 * ```ts
 * await exec(namespaceArgv({ uid: process.getuid() }, ["tar", "-xf", rootfs, "-C", directory]));
 * ```
 */
export function namespaceArgv(caller: Caller, command: Argv): Argv {
  const common = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"];
  const user = caller.uid === 0 ? [] : ["--user", "--map-root-user", "--map-auto", "--setuid", "0", "--setgid", "0"];
  return ["unshare", ...user, ...common, "--", ...command];
}
