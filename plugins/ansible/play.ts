/**
 * Runs a playbook on an unpacked root file system inside the namespace, and packs it again.
 * Knows nothing of targets and machines.
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Argv, ImgtaskError, type Json } from "../../lib/mod.ts";
import { removeBackups, withDevices } from "../machine/apply.ts";
import { command, followInside, hasInside, makeScratch, pathInside } from "../machine/inside.ts";
import { logLine } from "../machine/log.ts";
import { insideMain } from "../machine/namespace.ts";
import { judge } from "./judge.ts";

/** What is to be played. */
export interface PlayJob {
  /** The tar of the root. */
  readonly rootfs: string;
  readonly playbook: string;
  readonly playbookName: string;
  readonly roles?: string;
  /** Name of the machine in the inventory. */
  readonly host: string;
  readonly groups: readonly string[];
  readonly variables: Readonly<Record<string, Json>>;
  readonly network: boolean;
  readonly out: string;
  readonly epoch: number;
  /** An empty directory. */
  readonly tmp: string;
}

/** File URL of this module, for `runInside`. */
export const playScript: string = import.meta.url;

/** Keeps packages from starting services (Debian's policy-rc.d; 101: action forbidden). */
const policy = "#!/bin/sh\nexit 101\n";

/** What apt and dpkg keep of a run: times, and lists that are old tomorrow. Taken away unless it was there before. */
const traces = [
  "/var/log/apt/history.log", "/var/log/apt/term.log", "/var/log/apt/eipp.log.xz", "/var/log/dpkg.log", "/var/log/alternatives.log",
  "/var/cache/apt/pkgcache.bin", "/var/cache/apt/srcpkgcache.bin", "/var/cache/ldconfig/aux-cache", "/var/lib/systemd/random-seed", "/root/.ansible", "/etc/resolv.conf",
];

/** Settings of Ansible, all by environment: no file of the host is asked. */
function settings(work: string, job: PlayJob): Readonly<Record<string, string>> {
  const local = join(work, "ansible");
  return {
    ANSIBLE_CONFIG: join(local, "ansible.cfg"),
    ANSIBLE_HOME: local,
    ANSIBLE_LOCAL_TEMP: join(local, "tmp"),
    // In the image's memory: nothing of it is packed.
    ANSIBLE_REMOTE_TEMP: "/dev/shm/ansible",
    ANSIBLE_SYSTEM_TMPDIRS: "/dev/shm",
    ANSIBLE_LOG_PATH: join(local, "log"),
    ANSIBLE_ROLES_PATH: job.roles ?? join(local, "roles"),
    ANSIBLE_RETRY_FILES_ENABLED: "0",
    ANSIBLE_CACHE_PLUGIN: "memory",
    ANSIBLE_STDOUT_CALLBACK: "default",
    ANSIBLE_NOCOLOR: "1",
    ANSIBLE_PIPELINING: "1",
    ANSIBLE_FORKS: "1",
    // A name that a template misspells ends the playbook.
    ANSIBLE_ERROR_ON_UNDEFINED_VARS: "1",
    ANSIBLE_INVENTORY_ENABLED: "yaml",
    ANSIBLE_LOCALHOST_WARNING: "0",
    PYTHONDONTWRITEBYTECODE: "1",
    PYTHONNOUSERSITE: "1",
    PYTHONHASHSEED: "0",
    // The connection passes the environment on to the image's programs.
    HOME: "/root",
    USER: "root",
    LOGNAME: "root",
    TMPDIR: "/tmp",
    LC_ALL: "C.UTF-8",
    TZ: "UTC",
    SOURCE_DATE_EPOCH: String(job.epoch),
    SYSTEMD_OFFLINE: "1",
    DEBIAN_FRONTEND: "noninteractive",
  };
}

/** Runs ansible-playbook; what it prints goes to the log as it comes. */
function play(work: string, tree: string, job: PlayJob, secrets: Readonly<Record<string, string>>): void {
  const local = join(work, "ansible");
  mkdirSync(local, { mode: 0o700 });
  // Whatever the scratch directory is, secrets are in memory only, and end with the namespace.
  command(["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", local]);
  const write = (name: string, value: Json | string): string => {
    writeFileSync(join(local, name), typeof value === "string" ? value : JSON.stringify(value), { mode: 0o600 });
    return join(local, name);
  };
  for (const name of ["tmp", "project", "roles"]) mkdirSync(join(local, name));
  const playbook = join(local, "project", job.playbookName);
  // Alone in its directory: files beside the original are no inputs.
  copyFileSync(job.playbook, playbook);
  write("ansible.cfg", "[defaults]\n");
  const host = { ansible_connection: "community.general.chroot", ansible_host: tree, ansible_python_interpreter: "/usr/bin/python3" };
  const inventory = write("hosts.json", {
    all: { hosts: { [job.host]: host }, children: Object.fromEntries(job.groups.map((group) => [group, { hosts: { [job.host]: {} } }])) },
  });
  const argv: Argv = [
    ...(job.network ? [] : ["unshare", "--net", "--"]),
    "ansible-playbook", "--inventory", inventory,
    "--extra-vars", `@${write("variables.json", job.variables)}`,
    "--extra-vars", `@${write("secrets.json", secrets)}`,
    "--", playbook,
  ] as unknown as Argv;
  logLine(`+ ${argv.join(" ")}`);
  const env = settings(work, job);
  const result = spawnSync(argv[0], argv.slice(1), { cwd: join(local, "project"), stdio: ["ignore", 2, 2], env: { ...process.env, ...env } });
  if (result.error !== undefined) throw new ImgtaskError("IMG3001", `Cannot run "${argv[0]}": ${result.error.message}`, { cause: result.error });
  const log = existsSync(join(local, "log")) ? readFileSync(join(local, "log"), "utf8") : "";
  const error = judge(result.status ?? 128, log, job.playbookName);
  if (error !== undefined) throw error;
}

/** Whether something is there, be it a link that leads nowhere. */
function exists(tree: string, path: string): boolean {
  return lstatSync(pathInside(tree, path), { throwIfNoEntry: false }) !== undefined;
}

function perform(work: string, tree: string, job: PlayJob, secrets: Readonly<Record<string, string>>): void {
  const before = new Set(traces.filter((path) => exists(tree, path)));
  const guard = followInside(tree, "/usr/sbin/policy-rc.d");
  const guarded = !existsSync(guard) && existsSync(join(guard, ".."));
  if (guarded) {
    writeFileSync(guard, policy);
    chmodSync(guard, 0o755);
  }
  if (job.network && !before.has("/etc/resolv.conf") && existsSync("/etc/resolv.conf")) copyFileSync("/etc/resolv.conf", pathInside(tree, "/etc/resolv.conf"));
  withDevices(tree, () => {
    mkdirSync(join(tree, "dev/shm"));
    chmodSync(join(tree, "dev/shm"), 0o1777);
    play(work, tree, job, secrets);
  });
  // A playbook may have put one of its own there.
  if (guarded && existsSync(guard) && readFileSync(guard, "utf8") === policy) rmSync(guard);
  for (const path of traces) {
    // A resolver that a task of a play without network wrote is what it wanted.
    if (before.has(path) || (path === "/etc/resolv.conf" && !job.network)) continue;
    rmSync(pathInside(tree, path), { recursive: true, force: true });
  }
  removeBackups(tree);
}

await insideMain<PlayJob>(import.meta.url, (job) => {
  const secrets = JSON.parse(readFileSync(0, "utf8")) as Readonly<Record<string, string>>;
  const work = join(job.tmp, "work");
  const inMemory = makeScratch(work, statSync(job.rootfs).size * 1.5 + 256 * 2 ** 20);
  const tree = join(work, "root");
  mkdirSync(tree, { mode: 0o755 });
  try {
    // Devices come from the kernel at boot, and an ordinary user could not make them here.
    command(["tar", "-x", "-p", "--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--exclude=./dev/*", "-f", job.rootfs, "-C", tree]);
    if (!hasInside(tree, "/usr/bin/python3")) {
      throw new ImgtaskError("IMG3641", "Ansible needs Python in the root file system, which has none", { expected: "/usr/bin/python3", hint: `Add "python3" to the machine's \`packages\`` });
    }
    perform(work, tree, job, secrets);
    // As mmdebstrap packs it: sorted, and no time behind the epoch.
    command([
      "tar", "--create", "--format=pax", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime", "--sort=name", "--numeric-owner",
      "--xattrs", "--xattrs-include=*", "--clamp-mtime", `--mtime=@${job.epoch}`, "--file", job.out, "--directory", tree, ".",
    ]);
  } finally {
    // Files of other users could not be removed from outside. Memory is free when the namespace ends.
    if (!inMemory) {
      command(["umount", "-l", join(work, "ansible")], { mayFail: true });
      rmSync(work, { recursive: true, force: true });
    }
  }
});
