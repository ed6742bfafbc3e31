/**
 * The kind `sbom`: what is in an image, from its own database of packages, or what a medium says it carries, as SPDX and as
 * CycloneDX. Knows no distribution by name.
 * @module
 */
import { writeFileSync } from "node:fs";
import { type Artifact, checkCall, digestFile, fit, type Fits, output, type OutputSpec, type Producer, type RunContext, target, type Target, tool, version } from "../../lib/mod.ts";
import { type Inventory, inventoryOf, parseSystem, summaryOf } from "./inventory.ts";
import { type Databases, readDisk, readRootfs } from "./read.ts";
import { componentsOf, queryDatabase } from "./rpm.ts";
import { type About, spdxDocument } from "./spdx.ts";

/** Images that tell what is in them. */
export type Described = "rootfs" | "disk" | "iso";

/** What `sbom()` takes beside the name. */
export interface SbomOptions<Type extends Described> {
  /**
   * A root file system, a disk that was made of one, or an installer ISO. Of an ISO it tells the packages that the medium
   * carries, by its own lists (`dists/`, `casper/*.manifest`, `repodata/`) and names of packages' files; what it will install is
   * decided when it runs. The documents say what told it and what is not told.
   */
  readonly from: Artifact<Type> | Producer<Type>;
  /**
   * Whose database a root file system or disk has: dpkg's, or rpm's (in a format that rpm on this host reads, Debian's sqlite alone; of disks, on ext4), for which rpm is needed on
   * this host. Media need no word for it.
   * @default "dpkg"
   */
  readonly packages?: Databases;
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

const fits: Fits<SbomOptions<Described>> = {
  from: fit.needed(fit.made(["rootfs", "disk", "iso"], "a root file system, a disk or an ISO image, as rootfs(), disk() and iso() make them")),
  packages: fit.word("dpkg", "rpm"),
};

const rpm = tool("rpm", { packages: { apt: "rpm", dnf: "rpm" } });

const mediumTools = [
  tool("xorriso", { versionArgs: ["-version"], versionPattern: /xorriso version\s*:\s*(\d+(?:\.\d+)+)/, min: "1.5.0", packages: { apt: "xorriso", dnf: "xorriso" } }),
  tool("prlimit", { packages: { apt: "util-linux", dnf: "util-linux" } }), tool("xz", { packages: { apt: "xz-utils", dnf: "xz" } }), tool("zstd", { packages: { apt: "zstd", dnf: "zstd" } }),
];

/** A target that lists what is in an image. */
export type Sbom<Name extends string = string> = Target<`sbom:${Name}`, SbomOutputs>;

/**
 * Declares target `sbom:NAME`: the packages of an image with versions, licences, package URLs and what needs what.
 * Licences are those that machine-readable copyright files declare; of the other packages it says that none is known.
 * The same image gives the same bytes.
 *
 * Of RPMs, licences are those whose tag is an SPDX expression.
 *
 * @throws {ImgtaskError} when run: IMG3582 for an image without a database of packages or with a file system that is not read, or a
 * medium without lists. Never a list without packages.
 *
 * @example
 * ```ts
 * const list = sbom("debian", { from: root });
 * publish("release", { artifacts: [debianDisk], sboms: [list], tests, to });
 * ```
 */
export function sbom<const Name extends string, Type extends Described>(name: Name, options: SbomOptions<Type>): Sbom<Name> {
  checkCall("sbom", name, options, fits);
  const from: Artifact = "outputs" in options.from ? options.from.outputs.out : options.from;
  const disk = from.type === "disk", { packages = "dpkg" } = options;
  return target(`sbom:${name}`, {
    description: `Software in ${from.target}, as SPDX and CycloneDX`,
    inputs: { image: from },
    params: { name, of: from.target, format: disk ? (from.path?.split(".").at(-1) ?? "raw") : from.type === "iso" ? "iso" : "tar", packages, tool: version() },
    tools: from.type === "iso" ? mediumTools : [...(packages === "rpm" ? [rpm] : []), ...(disk
      ? [tool("qemu-img", { packages: { apt: "qemu-utils", dnf: "qemu-img" } }), tool("sfdisk", { packages: { apt: "fdisk", dnf: "util-linux-core" } }), tool("debugfs", { versionArgs: ["-V"], packages: { apt: "e2fsprogs", dnf: "e2fsprogs" } })]
      : [tool("tar", { packages: { apt: "tar", dnf: "tar" } })])],
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

type Describe = RunContext<{ readonly image: Artifact }, { readonly name: string; readonly of: string; readonly format: string; readonly packages: Databases; readonly tool: string }, SbomOutputs>;

async function describe(context: Describe): Promise<void> {
  const { inputs, params, outputs, epoch, log } = context;
  // The library has the list of licences, and a megabyte of it: for those who run this alone.
  const { SPDX } = await import("@cyclonedx/cyclonedx-library");
  const { cyclonedxDocument } = await import("./cyclonedx.ts");
  const isLicence = (id: string): boolean => SPDX.isSupportedSpdxId(id);
  const read = async (): Promise<Inventory> => {
    const { format, of, packages } = params;
    if (format === "iso") return await (await import("./medium.ts")).readIso(inputs.image, of, isLicence, context);
    if (packages === "rpm") {
      const { osRelease, kernels, database } = format === "tar" ? await readRootfs(inputs.image, of, context, packages) : await readDisk(inputs.image, format, of, context, packages);
      return { system: parseSystem(osRelease), kernels: kernels.map((name) => name.replace(/^vmlinuz-/, "")).sort(), packages: componentsOf(await queryDatabase(database, of, context), isLicence, true) };
    }
    const files = format === "tar" ? await readRootfs(inputs.image, of, context) : await readDisk(inputs.image, format, of, context);
    return inventoryOf(files, (name) => SPDX.fixupSpdxId(name));
  };
  const inventory = await read();
  const about: About = { name: params.name, sha256: await digestFile(inputs.image), epoch, tool: params.tool };
  const summary = summaryOf(inventory);
  writeFileSync(outputs.out, `${JSON.stringify(summary, null, 2)}\n`);
  writeFileSync(outputs.spdx, spdxDocument(inventory, about));
  writeFileSync(outputs.cyclonedx, cyclonedxDocument(inventory, about));
  log(`${summary.system.title}: ${summary.packages} packages, licences of ${summary.licensed}; kernels: ${summary.kernels.join(", ") || "none"}`);
}
