/**
 * The kind `sbom`: what is in an image, from its own database of packages, as SPDX and as CycloneDX. Knows no
 * distribution by name.
 * @module
 */
import { writeFileSync } from "node:fs";
import { type Artifact, digestFile, output, type OutputSpec, type Producer, type RunContext, target, type Target, tool, version } from "../../lib/mod.ts";
import { inventoryOf, summaryOf } from "./inventory.ts";
import { readDisk, readRootfs } from "./read.ts";
import { type About, spdxDocument } from "./spdx.ts";

/** Images that have a database of packages. */
export type Described = "rootfs" | "disk";

/** What `sbom()` takes beside the name. */
export interface SbomOptions<Type extends Described> {
  /**
   * A root file system, or a disk that was made of one. An installer ISO has no database of packages: what it will
   * install is decided when it runs.
   */
  readonly from: Artifact<Type> | Producer<Type>;
}

/** What an SBOM leaves behind. */
export type SbomOutputs = {
  /** System, kernels and number of packages, JSON. */
  readonly out: OutputSpec<"inventory">;
  /** SPDX 2.3, JSON: `artifacts/sbom/NAME.spdx.json`. */
  readonly spdx: OutputSpec<"spdx">;
  /** CycloneDX 1.6, JSON: `artifacts/sbom/NAME.cdx.json`. */
  readonly cyclonedx: OutputSpec<"cyclonedx">;
};

/** A target that lists what is in an image. */
export type Sbom<Name extends string = string> = Target<`sbom:${Name}`, SbomOutputs>;

/**
 * Declares target `sbom:NAME`: the packages of an image with versions, licences, package URLs and what needs what.
 * Licences are those that machine-readable copyright files declare; of the other packages it says that none is known.
 * The same image gives the same bytes.
 *
 * @throws {ImgtaskError} when run: IMG3582 for an image without a database of dpkg.
 *
 * @example
 * ```ts
 * const list = sbom("debian", { from: root });
 * publish("release", { artifacts: [debianDisk], sboms: [list], tests, to });
 * ```
 */
export function sbom<const Name extends string, Type extends Described>(name: Name, options: SbomOptions<Type>): Sbom<Name> {
  const from: Artifact = "outputs" in options.from ? options.from.outputs.out : options.from;
  const disk = from.type === "disk";
  return target(`sbom:${name}`, {
    description: `Software in ${from.target}, as SPDX and CycloneDX`,
    inputs: { image: from },
    params: { name, of: from.target, format: disk ? (from.path?.split(".").at(-1) ?? "raw") : "tar", tool: version() },
    tools: disk
      ? [tool("qemu-img", { packages: { apt: "qemu-utils", dnf: "qemu-img" } }), tool("sfdisk", { packages: { apt: "fdisk", dnf: "util-linux-core" } }), tool("debugfs", { versionArgs: ["-V"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } })]
      : [tool("tar", { packages: { apt: "tar", dnf: "tar" } })],
    outputs: {
      out: output("file", "inventory"),
      spdx: output("file", "spdx", { path: `artifacts/sbom/${name}.spdx.json` }),
      cyclonedx: output("file", "cyclonedx", { path: `artifacts/sbom/${name}.cdx.json` }),
    },
    resources: { cpu: 1, memory: "256M", ...(disk ? { disk: "2G" as const } : {}) },
    module: import.meta.url,
    run: async (context) => await describe(context),
  });
}

type Describe = RunContext<{ readonly image: Artifact }, { readonly name: string; readonly of: string; readonly format: string; readonly tool: string }, SbomOutputs>;

async function describe(context: Describe): Promise<void> {
  const { inputs, params, outputs, epoch, log } = context;
  // The library has the list of licences, and a megabyte of it: for those who run this alone.
  const { SPDX } = await import("@cyclonedx/cyclonedx-library");
  const { cyclonedxDocument } = await import("./cyclonedx.ts");
  const files = params.format === "tar" ? await readRootfs(inputs.image, params.of, context) : await readDisk(inputs.image, params.format, params.of, context);
  const inventory = inventoryOf(files, (name) => SPDX.fixupSpdxId(name));
  const about: About = { name: params.name, sha256: await digestFile(inputs.image), epoch, tool: params.tool };
  const summary = summaryOf(inventory);
  writeFileSync(outputs.out, `${JSON.stringify(summary, null, 2)}\n`);
  writeFileSync(outputs.spdx, spdxDocument(inventory, about));
  writeFileSync(outputs.cyclonedx, cyclonedxDocument(inventory, about));
  log(`${summary.system.title}: ${summary.packages} packages, licences of ${summary.licensed}; kernels: ${summary.kernels.join(", ") || "none"}`);
}
