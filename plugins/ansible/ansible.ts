/**
 * `ansible()`: a root file system after a playbook, run by ansible-core over the chroot connection of community.general.
 * Knows no distribution and no module of Ansible.
 * @module
 */
import { basename } from "node:path";
import { type Artifact, checkCall, ExitCode, fit, type Fits, hostFile, ImgtaskError, type Json, type Machine, output, type OutputSpec, type Requirement, type Secrets, type Source, type Target, target, tool } from "../../lib/mod.ts";
import { archOf, emulationOf } from "../arch/mod.ts";
import { type BootableRoot, rootFit } from "../disk/disk.ts";
import { namespaceTools, runInside } from "../machine/namespace.ts";
import { playScript } from "./play.ts";

// ansible-core itself has no chroot connection any more: it is in the collection community.general, which Debian's
// package `ansible` holds.
const tools: readonly Requirement[] = [
  tool("ansible-playbook", { versionPattern: /core (\d+(?:\.\d+)+)/, min: "2.14", packages: { apt: "ansible", dnf: "ansible-core" } }),
  hostFile({
    name: "community.general.chroot",
    anyOf: [
      "/usr/lib/python3/dist-packages/ansible_collections/community/general/plugins/connection/chroot.py",
      "/usr/share/ansible/collections/ansible_collections/community/general/plugins/connection/chroot.py",
    ],
    packages: { apt: "ansible", dnf: "ansible-collection-community-general" },
  }),
  tool("tar", { packages: { apt: "tar", dnf: "tar" } }),
];

/** What `ansible()` takes beside the name. */
export interface AnsibleOptions<A extends string = string> {
  /** The root file system, as `rootfs()` or another `ansible()` returns it. Its packages need `python3`. */
  readonly from: BootableRoot<A>;
  /** The playbook. Its plays are for `hosts: all`, or for one of `groups`. It sees `roles`, and no files beside it. */
  readonly playbook: Source | Artifact<"file">;
  /** Directory of roles, one directory each. @default none */
  readonly roles?: Source;
  /** Groups of the inventory in which the machine is. @default none */
  readonly groups?: readonly string[];
  /** Variables; they come before all others, as `--extra-vars` do. @default {} */
  readonly variables?: Readonly<Record<string, Json>>;
  /** Variables whose values nobody but the playbook gets to see. @default {} */
  readonly secrets?: Secrets;
  /**
   * Whether tasks reach the network. What they bring from there is in no fingerprint, and can be other bytes the next
   * time. @default false
   */
  readonly network?: boolean;
}

const fits: Fits<AnsibleOptions> = {
  from: fit.needed(rootFit),
  playbook: fit.needed(fit.either(fit.sourceHandle, fit.handle)),
  roles: fit.sourceHandle,
  groups: fit.list,
  variables: fit.record,
  secrets: fit.record,
  network: fit.flag,
};

/** A root file system after a playbook: for `disk()`, or for the next `ansible()`. */
export type Played<Name extends string = string, A extends string = string> = Target<`ansible:${Name}`, { readonly out: OutputSpec<"rootfs"> }> & {
  /** The one of `from`: still to be applied, by `disk()`. */
  readonly machine: Machine;
  readonly arch: A;
};

function refuse(message: string, expected: string): never {
  throw new ImgtaskError("IMG2180", message, { expected, exitCode: ExitCode.usage });
}

/**
 * Declares a root file system after an Ansible playbook. Real `ansible-playbook`, in a namespace in which it is root,
 * over the connection `community.general.chroot`; the host's own configuration, collections of its users, inventory and
 * caches do not count. No service starts.
 *
 * The playbook runs before the machine is applied: what the machine says wins. It runs again when it, a role, a variable
 * or the root file system changes. The same inputs give the same bytes as far as its tasks do: one that writes the time
 * or a random number into a file does not.
 *
 * @throws {ImgtaskError} IMG2180 for a bad name of a variable or group; when it runs IMG3640 for a task that failed, IMG3641
 * for a root file system without Python, IMG3642 when Ansible refused the playbook, IMG3643 for a play that is for no host.
 *
 * @example
 * ```ts
 * const root = rootfs("lab", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
 * const played = ansible("lab", { from: root, playbook: source("site.yml"), roles: source("roles"), variables: { port: 8080 } });
 * export const labDisk = disk("lab", { from: played });
 * ```
 */
export function ansible<const Name extends string, A extends string>(name: Name, options: AnsibleOptions<A>): Played<Name, A> {
  checkCall("ansible", name, options, fits);
  const { from, playbook, roles, variables = {}, secrets = {}, groups = [], network = false } = options;
  const arch = archOf(from.arch);
  for (const variable of [...Object.keys(variables), ...Object.keys(secrets)]) {
    // Ansible User Guide, "Creating valid variable names"; connections of its own would leave the image.
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable) || variable.startsWith("ansible_")) {
      refuse(`Bad name of a variable for Ansible: ${JSON.stringify(variable)}`, `letters, digits and "_", and not "ansible_" at its start`);
    }
    if (Object.hasOwn(variables, variable) && Object.hasOwn(secrets, variable)) refuse(`The variable "${variable}" is in variables and in secrets`, "one of them");
  }
  for (const group of groups) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(group) || group === "all" || group === "ungrouped") refuse(`Bad name of a group for Ansible: ${JSON.stringify(group)}`, `letters, digits and "_", and neither "all" nor "ungrouped"`);
  }
  const made = target(`ansible:${name}`, {
    description: `Root file system of "${from.machine.hostname}" after a playbook`,
    inputs: { rootfs: from, playbook, ...(roles === undefined ? {} : { roles }) },
    secrets,
    params: { host: from.machine.hostname, groups: [...new Set(groups)].sort(), variables, network },
    tools: [...tools, ...namespaceTools, ...emulationOf(arch)],
    outputs: { out: output("file", "rootfs") },
    platform: arch.name,
    resources: { cpu: 1, memory: "1G", disk: "2G", ...(network ? { network: true } : {}) },
    // Places where Ansible and Python look on their way.
    untracked: { reads: ["/dev/shm", "/etc/ansible", "/usr/share/ansible", "/root", ...(network ? ["/etc/resolv.conf"] : [])] },
    module: import.meta.url,
    async run(context) {
      const { params, inputs, outputs, tmp, epoch } = context;
      const found = inputs as { readonly rootfs: string; readonly playbook: string; readonly roles?: string };
      const values = context.secrets as Readonly<Record<string, string>>;
      await runInside(
        context,
        playScript,
        {
          ...params,
          rootfs: found.rootfs,
          playbook: found.playbook,
          playbookName: basename(found.playbook),
          ...(found.roles === undefined ? {} : { roles: found.roles }),
          out: outputs.out,
          epoch,
          tmp,
        },
        JSON.stringify(values),
      );
    },
  });
  return Object.freeze({ ...made, machine: from.machine, arch: from.arch });
}
