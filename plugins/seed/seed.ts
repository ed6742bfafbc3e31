/**
 * `seed()`: a small ISO from which a cloud image makes itself the described machine at its first boot.
 * Knows no distribution but by its package manager; what cloud-init is told is written by `customize/cloud-init.ts`.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkCall, fit, type Fits, type Machine, output, type OutputSpec, type PackageManager, type Target, target, tool } from "../../lib/mod.ts";
import { checkCloudInit, cloudInit, cloudInitPackages } from "../customize/cloud-init.ts";
import { originOf } from "../dirs/dirs.ts";
import { machineFit } from "../machine/fit.ts";
import { machineParams } from "../machine/params.ts";
import { machineSecrets, passwordTools, withPasswords } from "../machine/passwords.ts";

const xorriso = tool("xorriso", { versionArgs: ["-version"], versionPattern: /xorriso version\s*:\s*(\d+(?:\.\d+)+)/, min: "1.5.0", packages: { apt: "xorriso", dnf: "xorriso" } });

/** What `seed()` takes beside the name. */
export interface SeedOptions {
  /** What the image is to become. */
  readonly machine: Machine;
  /** How the image installs packages: their names may differ. @default "apt" */
  readonly packageManager?: PackageManager;
  /** Names the instance: with another one, cloud-init applies everything once more. @default follows from the data */
  readonly instanceId?: string;
}

const fits: Fits<SeedOptions> = { machine: fit.needed(machineFit), packageManager: fit.word("apt", "dnf"), instanceId: fit.text };

/** A seed medium. */
export type Seed<Name extends string = string> = Target<`seed:${Name}`, { readonly out: OutputSpec<"seed"> }>;

/**
 * Declares a seed medium for cloud-init: an ISO 9660 with the label CIDATA and the files `user-data`, `meta-data` and
 * `network-config` (cloud-init's documentation, "NoCloud"), in `artifacts/seed/NAME.iso`. Attach it to a machine that
 * starts from a cloud image.
 *
 * @throws {ImgtaskError} IMG2312 for what cloud-init cannot do to a machine.
 *
 * @example
 * ```ts
 * export const labSeed = seed("lab", { machine: lab });
 * ```
 */
export function seed<const Name extends string>(name: Name, options: SeedOptions): Seed<Name> {
  checkCall("seed", name, options, fits);
  const { machine } = options;
  checkCloudInit(machine);
  return target(`seed:${name}`, {
    description: `Data for cloud-init, as a medium: "${machine.hostname}"`,
    params: {
      machine: machineParams(machine),
      packages: cloudInitPackages(machine, options.packageManager ?? "apt"),
      origins: machine.directories.map(({ list }) => originOf(list)),
      instanceId: options.instanceId ?? null,
    },
    secrets: machineSecrets(machine),
    tools: [xorriso, ...passwordTools(machine)],
    outputs: { out: output("file", "seed", { path: `artifacts/seed/${name}.iso` }) },
    module: import.meta.url,
    async run(context) {
      const { params, outputs, tmp, epoch, exec } = context;
      const { machine, packages, origins, instanceId } = params;
      const { files } = cloudInit(await withPasswords(machine, context), { packages, origins, epoch, ...(instanceId === null ? {} : { instanceId }) });
      const tree = join(tmp, "seed");
      mkdirSync(tree);
      for (const [path, text] of Object.entries(files)) writeFileSync(join(tree, path), text);
      const date = new Date(epoch * 1000).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
      await exec([
        "xorriso", "-no_rc", "-as", "mkisofs", "-quiet", "-V", "CIDATA", "-J", "-r",
        `--modification-date=${date}00`, "--set_all_file_dates", `=${epoch}`, "-o", outputs.out, tree,
      ]);
    },
  });
}
