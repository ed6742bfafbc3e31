/**
 * `convert()`: a disk image in another format. A kind of its own and no option of `disk()`: the disk is built once, and each
 * format is one quick step behind it, also for an image that was not built here.
 * Knows no distribution; runs qemu-img and tar.
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkCall, ExitCode, fit, type Fits, ImgtaskError, output, type OutputSpec, type Requirement, type RunContext, type Target, target, tool } from "../../lib/mod.ts";
import { type ArchOf, diskFit, type DiskImage, givenImage, withArch } from "./given.ts";
import { identifyVhd, identifyVhdx, identifyVmdk } from "./identity.ts";
import { ovf, type VirtualMachine } from "./ovf.ts";
import { inspect, qemuImg } from "./inspect.ts";

/** What `convert()` makes, and what can be said of it. */
export type ConvertOptions =
  | {
      readonly from: DiskImage;
      readonly format: "qcow2";
      /** Compress its clusters with zlib: smaller, and slower to read. @default false */
      readonly compress?: boolean;
    }
  | { readonly from: DiskImage; readonly format: "raw" | "vhdx" | "vhd" }
  | {
      readonly from: DiskImage;
      readonly format: "vmdk";
      /**
       * `streamOptimized`: compressed, one file, to import into vSphere and others. `monolithicFlat`: what ESXi runs as it
       * is, a directory with a descriptor and the data. (qemu-img's own default, `monolithicSparse`, is for desktops: on
       * ESXi it corrupts data.) Both with an LSI Logic controller. @default "streamOptimized"
       */
      readonly subformat?: "streamOptimized" | "monolithicFlat";
    }
  | {
      readonly from: DiskImage;
      readonly format: "ova";
      /** @default 2 */
      readonly cpus?: number;
      /** MiB. @default 2048 */
      readonly memory?: number;
      /** Firmware that the machine is given. @default "bios" */
      readonly firmware?: "bios" | "efi";
      /**
       * Disk and network of the machine. `vmware`: PVSCSI and VMXNET3, for which kernels for clouds have drivers.
       * `generic`: LSI Logic and E1000, which VirtualBox has as well; the image needs a full kernel for these, in Debian the
       * package `linux-image-amd64`. @default "vmware"
       */
      readonly devices?: "vmware" | "generic";
    };

/** The options that go with a format. */
type Of<Format extends ConvertOptions["format"], O = ConvertOptions> = O extends { readonly format: infer F } ? (Format extends F ? O : never) : never;

const from = fit.needed(diskFit), format = fit.needed(fit.word("qcow2", "raw", "vhdx", "vhd", "vmdk", "ova"));
const plain: Fits<Of<"raw">> = { from, format };
const fits: { readonly [Format in ConvertOptions["format"]]: Fits<Of<Format>> } = {
  raw: plain,
  vhdx: plain,
  vhd: plain,
  qcow2: { ...plain, compress: fit.flag },
  vmdk: { ...plain, subformat: fit.word("streamOptimized", "monolithicFlat") },
  ova: { ...plain, cpus: fit.number, memory: fit.number, firmware: fit.word("bios", "efi"), devices: fit.word("vmware", "generic") },
};

/** What a format's file is, for the type checker: what tools take for a disk as it is, is a disk. */
export type ConvertedType<O> = O extends { readonly format: "qcow2" | "raw" } ? "disk" : O extends { readonly subformat: "monolithicFlat" } ? "vmdk directory" : O extends { readonly format: infer F extends string } ? F : never;

/** A converted disk; of the architecture of the disk that it was. */
export type Converted<Name extends string = string, Type extends string = string, From = DiskImage> = Target<`convert:${Name}`, { readonly out: OutputSpec<Type> }> & ArchOf<From>;

const tools: readonly Requirement[] = [qemuImg, tool("tar", { packages: { apt: "tar", dnf: "tar" } })];

function fileName(name: string, options: ConvertOptions): string {
  return options.format === "vmdk" && options.subformat === "monolithicFlat" ? name : `${name}.${options.format}`;
}

function checkOva(cpus: number, memory: number): void {
  if (Number.isInteger(cpus) && cpus >= 1 && cpus <= 256 && Number.isInteger(memory) && memory >= 64 && memory <= 16 * 2 ** 20) return;
  throw new ImgtaskError("IMG2172", "Bad virtual machine of an OVA", { expected: "1 to 256 CPUs, and 64 MiB of memory at least, as whole numbers", found: `${cpus} CPUs, ${memory} MiB`, exitCode: ExitCode.usage });
}

/**
 * Declares a disk in another format. Equal content gives equal bytes: identifiers and times that the formats hold follow
 * from the target's name.
 *
 * @throws {ImgtaskError} IMG2172 for a machine that cannot be.
 *
 * @example
 * ```ts
 * export const ova = convert("debian", { from: debianDisk, format: "ova", cpus: 2, memory: 4096 });
 * export const esxi = convert("debian-esxi", { from: debianDisk, format: "vmdk", subformat: "monolithicFlat" });
 * ```
 */
export function convert<const Name extends string, const O extends ConvertOptions>(name: Name, options: O): Converted<Name, ConvertedType<O>, O["from"]> {
  // What one format has is no option of another one.
  checkCall("convert", name, options, (options as ConvertOptions | undefined)?.format === undefined ? plain : Object.hasOwn(fits, options.format) ? fits[options.format] : { ...fits.ova, ...fits.vmdk, ...fits.qcow2 });
  const from: O["from"] = options.from;
  const given = givenImage(from);
  const flat = options.format === "vmdk" && options.subformat === "monolithicFlat";
  const machine = options.format === "ova" ? { cpus: options.cpus ?? 2, memory: options.memory ?? 2048, firmware: options.firmware ?? "bios", devices: options.devices ?? "vmware" } : undefined;
  if (machine !== undefined) checkOva(machine.cpus, machine.memory);
  const type = options.format === "qcow2" || options.format === "raw" ? "disk" : flat ? "vmdk directory" : options.format;
  const made = target(`convert:${name}`, {
    description: `Disk image as ${options.format}${flat ? " (monolithicFlat)" : ""}`,
    inputs: { image: given.image },
    params: {
      name,
      from: given.format,
      format: options.format,
      flat,
      compress: options.format === "qcow2" && options.compress === true,
      machine: machine ?? null,
    },
    tools,
    outputs: { out: output(flat ? "tree" : "file", type as ConvertedType<O>, { path: `artifacts/disk/${fileName(name, options)}` }) },
    resources: { cpu: 1, disk: "2G" },
    module: import.meta.url,
    async run(context) {
      const { params, inputs, outputs, tmp, epoch, exec } = context;
      const seed = context.target;
      const source = await inspect(inputs.image, params.from, context);
      const image = async (format: string, file: string, settings: readonly string[]): Promise<void> => {
        await exec(["qemu-img", "convert", "-f", source.format, "-O", format, ...settings, inputs.image, file]);
      };
      switch (params.format) {
        case "raw":
          return image("raw", outputs.out, []);
        case "qcow2":
          return image("qcow2", outputs.out, params.compress ? ["-c"] : []);
        case "vhdx":
          await image("vhdx", outputs.out, ["-o", "subformat=dynamic"]);
          return identifyVhdx(outputs.out, seed);
        case "vhd":
          if (source.size % 2 ** 20 !== 0) throw new ImgtaskError("IMG3141", "A VHD for Azure must be a whole number of MiB", { found: `${source.size} bytes`, hint: "Resize the disk first" });
          await image("vpc", outputs.out, ["-o", "subformat=fixed,force_size=on"]);
          return identifyVhd(outputs.out, seed, epoch);
        case "vmdk": {
          // Descriptors name their extents after the file: its name must be the final one.
          const file = join(tmp, `${params.name}.vmdk`);
          await image("vmdk", file, ["-o", `subformat=${params.flat ? "monolithicFlat" : "streamOptimized"},adapter_type=lsilogic`]);
          identifyVmdk(file, seed);
          if (!params.flat) return renameSync(file, outputs.out);
          mkdirSync(outputs.out);
          for (const part of [`${params.name}.vmdk`, `${params.name}-flat.vmdk`]) renameSync(join(tmp, part), join(outputs.out, part));
          return;
        }
        default:
          return ova(context, params.name, params.machine!, source.size, (file) => image("vmdk", file, ["-o", "subformat=streamOptimized,adapter_type=lsilogic"]));
      }
    },
  });
  return withArch(made, from);
}

/** Packs an OVA: first the descriptor, then the manifest of digests, then the disk (DSP0243, "Distribution as a single file"). */
async function ova(
  { target: seed, outputs, tmp, epoch, exec }: Pick<RunContext, "target" | "tmp" | "epoch" | "exec"> & { readonly outputs: { readonly out: string } },
  name: string,
  machine: Omit<VirtualMachine, "name" | "disk">,
  capacity: number,
  makeDisk: (file: string) => Promise<void>,
): Promise<void> {
  const disk = `${name}-disk1.vmdk`;
  await makeDisk(join(tmp, disk));
  identifyVmdk(join(tmp, disk), seed);
  writeFileSync(join(tmp, `${name}.ovf`), ovf({ name, ...machine, disk: { file: disk, size: statSync(join(tmp, disk)).size, capacity } }));
  const digest = async (file: string): Promise<string> => {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(join(tmp, file))) hash.update(chunk as Buffer);
    return hash.digest("hex");
  };
  writeFileSync(join(tmp, `${name}.mf`), `SHA256(${name}.ovf)= ${await digest(`${name}.ovf`)}\nSHA256(${disk})= ${await digest(disk)}\n`);
  await exec(["tar", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644", `--mtime=@${epoch}`, "-cf", outputs.out, "-C", tmp, "--", `${name}.ovf`, `${name}.mf`, disk]);
}
