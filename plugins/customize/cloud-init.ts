/**
 * Data for cloud-init: a machine description as the files of its NoCloud source.
 * Structures that are written as YAML; knows nothing of the medium that they travel on.
 *
 * Format: "NoCloud" and "Module reference" of cloud-init's documentation; what stands here is in its schema since 22.4.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { type InstalledMachine, type Machine, type PackageManager, packagesFor } from "../../lib/mod.ts";
import { finishScript, finishSteps } from "../machine/finish.ts";
import type { ReadyMachine } from "../machine/passwords.ts";
import { keyLines, repositoryFiles, sudoersFile, systemFiles } from "../machine/system-file.ts";
import { type Answers, cannot } from "./answers.ts";
import { netplan } from "./netplan.ts";
import { listedDirectories, overlayEntries } from "./entries.ts";
import { tar } from "./tar.ts";
import { type Yaml, yaml } from "./yaml.ts";

const format = "Data for cloud-init";

/** Where the last steps lie on the machine. */
const place = "/var/lib/imgtask";

/** What cloud-init's data depend on beside the machine. */
export interface CloudInitContext {
  /** Packages to install, as {@linkcode cloudInitPackages} gives them. */
  readonly packages: readonly string[];
  /** Names the instance: with another one, cloud-init applies everything once more. @default follows from the data */
  readonly instanceId?: string;
  /** What the lists of directories were read from, for messages. @default their paths */
  readonly origins?: readonly string[];
  /** Seconds since 1970, of directories and files of the overlay. */
  readonly epoch: number;
}

/**
 * Refuses what cloud-init cannot do to a machine; to be called when a target is declared.
 *
 * @throws {ImgtaskError} IMG2312 for a storage layout: the image has its partitions already.
 */
export function checkCloudInit(machine: InstalledMachine): asserts machine is Machine {
  if (machine.storage !== undefined) cannot(format, "storage", "no storage: the image that it meets is divided already", machine.storage);
}

/** Names of the packages to install, with those that parts of the machine need. */
export function cloudInitPackages(machine: InstalledMachine, manager: PackageManager): readonly string[] {
  const needed = [
    ...(machine.users.some(({ sudo }) => sudo !== "none") ? ["sudo"] : []),
    ...(machine.firewall === undefined ? [] : [manager === "apt" ? "nftables" : "firewalld"]),
    ...(machine.passwordPolicy === undefined ? [] : [manager === "apt" ? "libpam-pwquality" : "libpwquality"]),
  ];
  return [...new Set([...packagesFor(machine, manager), ...needed])];
}

function user({ name, fullName, uid, groups, shell, sshKeys, password }: ReadyMachine["users"][number]): Yaml {
  const lines = keyLines(sshKeys, name);
  return {
    name,
    ...(fullName === "" ? {} : { gecos: fullName }),
    ...(uid === undefined ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    shell,
    lock_passwd: password === undefined,
    ...(password === undefined ? {} : { hashed_passwd: password }),
    ...(lines.length === 0 ? {} : { ssh_authorized_keys: lines }),
  };
}

interface Written {
  readonly path: string;
  readonly content: Buffer;
  readonly mode?: number;
  readonly owner?: string;
  /** Until accounts and packages are there. */
  readonly defer?: boolean;
}

/** Text as it is, all else in base 64, long things compressed. */
function written({ path, content, mode = 0o644, owner = "root:root", defer = false }: Written): Yaml {
  const text = content.toString("utf8");
  const readable = Buffer.from(text, "utf8").equals(content) && !/[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(text);
  const packed = !readable && content.length > 4096;
  return {
    path,
    ...(readable ? { content: text } : { encoding: packed ? "gz+b64" : "b64", content: (packed ? gzipSync(content, { level: 9 }) : content).toString("base64") }),
    owner,
    permissions: `0${mode.toString(8).padStart(3, "0")}`,
    ...(defer ? { defer } : {}),
  };
}

function files(machine: ReadyMachine, { origins = [], epoch }: CloudInitContext): readonly Written[] {
  const tree = listedDirectories(machine, origins);
  const steps = [
    // It has a place for passwords of its own.
    ...finishSteps(machine).filter(({ name }) => name !== "passwords"),
    ...(machine.overlay === undefined ? [] : [{ name: "overlay.tar", content: tar(overlayEntries(machine.overlay), epoch) }]),
    ...(tree.length === 0 ? [] : [{ name: "files.tar", content: tar(tree, epoch) }]),
  ];
  return [
    ...machine.repositories.flatMap(repositoryFiles),
    ...systemFiles(machine),
    ...machine.users.map(sudoersFile).filter((one) => one !== undefined),
    ...steps.map(({ name, content, ...rest }): Written => ({ path: `${place}/${name}`, mode: 0o600, content, ...rest })),
    ...(steps.length === 0 ? [] : [{ path: `${place}/finish`, mode: 0o700, content: Buffer.from(finishScript) }]),
    ...machine.files.map(({ path, content, mode, owner, group }): Written => ({
      path,
      content: "text" in content ? Buffer.from(content.text) : readFileSync(content.file),
      mode,
      owner: `${owner}:${group}`,
      defer: true,
    })),
  ];
}

function userData(machine: ReadyMachine, context: CloudInitContext): Yaml {
  const all = files(machine, context);
  return {
    hostname: machine.hostname,
    preserve_hostname: false,
    manage_etc_hosts: "localhost",
    locale: machine.locale,
    timezone: machine.timezone,
    // The kernel's own needs nothing; without console-setup in the image, asking for it would be an error.
    ...(machine.keyboard === "us" ? {} : { keyboard: { layout: machine.keyboard } }),
    disable_root: true,
    ssh_pwauth: machine.passwordLogin,
    // Without a list it would make the image's default account; an empty one its schema refuses.
    users: machine.users.length === 0 ? [{ name: "root", lock_passwd: true }] : machine.users.map(user),
    ...(context.packages.length === 0 ? {} : { package_update: true, packages: context.packages }),
    ...(all.length === 0 ? {} : { write_files: all.map(written) }),
    ...(all.some(({ path }) => path === `${place}/finish`) ? { runcmd: [["sh", `${place}/finish`]] } : {}),
  };
}

/**
 * The NoCloud files of a machine: `user-data`, `meta-data` and `network-config`, for the root of a medium labelled
 * `CIDATA`. The image's own first boot applies them. To be called in a recipe, where keys and files are.
 *
 * @throws {ImgtaskError} IMG3222 and IMG3233 for bad key files, IMG2315 for an overlay with devices.
 *
 * @example In a kind that makes a seed medium:
 * ```ts
 * checkCloudInit(machine);
 * target(`seed:${name}`, {
 *   params: { machine: machineParams(machine), packages: cloudInitPackages(machine, "apt"), origins: machine.directories.map(({ list }) => originOf(list)) },
 *   secrets: machineSecrets(machine),
 *   tools: [xorriso, ...passwordTools(machine)],
 *   async run(context) {
 *     const { machine, packages, origins } = context.params;
 *     const { files } = cloudInit(await withPasswords(machine, context), { packages, origins, epoch: context.epoch });
 *   },
 * });
 * ```
 */
export function cloudInit(machine: ReadyMachine, context: CloudInitContext): Answers {
  const data = `#cloud-config\n${yaml(userData(machine, context))}`;
  const network = yaml(machine.network === "none" ? { config: "disabled" } : netplan(machine.network));
  const instance = context.instanceId ?? `imgtask-${createHash("sha256").update(data).update(network).digest("hex").slice(0, 16)}`;
  return {
    files: {
      "user-data": data,
      "meta-data": yaml({ "instance-id": instance, "local-hostname": machine.hostname }),
      "network-config": network,
    },
  };
}
