/**
 * The kind `iso`: an installer tree becomes a hybrid ISO image, bootable from CD and USB by BIOS and UEFI: one made
 * of it, or the vendor's with the tree laid over it. Declares; knows no answer format and no distribution.
 * @module
 */
import { join } from "node:path";
import {
  checkCall,
  ExitCode,
  fit,
  type Fits,
  ImgtaskError,
  output,
  type OutputSpec,
  type Requirement,
  type RunContext,
  type Target,
  target,
  tool,
} from "../../lib/mod.ts";
import { archOf } from "../arch/mod.ts";
import type { Customized } from "../customize/customize.ts";
import type { Verified } from "../verify/verify.ts";
import type { Console } from "./boot-menu.ts";
import { implanter } from "./implant.ts";
import { make, makeTools } from "./make.ts";
import { remaster } from "./remaster.ts";

/** What `iso()` takes. */
export interface IsoOptions {
  /** The installer, as `customize()` makes it. */
  readonly from: Customized;
  /**
   * Volume name: capital letters, digits and `_`; 32 at most. Of a vendor's ISO also small letters, ` `, `.`, `+`, `-`;
   * what refers to its name is changed with it.
   * @default the vendor's; for an ISO made here the target's name in that alphabet
   */
  readonly volume?: string;
  /**
   * Where boot loader and installer can be seen. With `"serial+vga"` both show the boot, and the installer itself
   * speaks on the serial line.
   * @default "serial+vga"
   */
  readonly console?: Console;
  /** Seconds in which a key stops the unattended start; 0 to 600. @default 3 */
  readonly timeout?: number;
}

const fits: Fits<IsoOptions> = {
  from: fit.needed(fit.target("installer tree", ["media", "verified"], "an installer, as customize() gives it")),
  volume: fit.text,
  console: fit.word("serial", "vga", "serial+vga"),
  timeout: fit.number,
};

/** A target that makes an ISO image. */
export type Iso<Name extends string = string> =
  & Target<`iso:${Name}`, { readonly out: OutputSpec<"iso"> }>
  & {
    /** Canonical architecture: `x86_64`. */
    readonly arch: string;
  };

const xorriso = tool("xorriso", { versionArgs: ["-version"], versionPattern: /xorriso version\s*:\s*(\d+(?:\.\d+)+)/, min: "1.5.0", packages: { apt: "xorriso", dnf: "xorriso" } });

/** What is needed to change a vendor's ISO. */
const remasterTools: readonly Requirement[] = [
  tool("mdir", { packages: { apt: "mtools", dnf: "mtools" } }),
  tool("mcopy", { packages: { apt: "mtools", dnf: "mtools" } }),
];

function volumeOf(name: string, asked: string | undefined, vendor: boolean): string | null {
  if (vendor && asked === undefined) return null;
  const volume = asked ?? name.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_");
  if (vendor && /^[A-Za-z0-9_.+-][A-Za-z0-9 _.+-]{0,30}[A-Za-z0-9_.+-]$/.test(volume)) return volume;
  if (/^[A-Z0-9_]{1,32}$/.test(volume)) return volume;
  throw new ImgtaskError("IMG2401", `Bad volume name ${JSON.stringify(volume)} for "iso:${name}"`, {
    expected: "capital letters, digits and _; 1 to 32 (the d-characters of ISO 9660)",
    exitCode: ExitCode.usage,
  });
}

/**
 * Declares target `iso:NAME`: a bootable image in `artifacts/iso/NAME.iso` that installs without asking.
 *
 * It boots from CD and from USB stick: on a PC by BIOS (ISOLINUX) and by UEFI (GRUB), elsewhere by UEFI. The same
 * installer always gives the same bytes, and the checksum of the medium is in it (`checkisomd5`). From a vendor's ISO the
 * vendor's boot loaders, menus and label stay; one entry more comes first and starts by itself.
 *
 * @param name letters, digits, `.`, `_`, `+`, `-`.
 * @throws {ImgtaskError} IMG2401 for a bad volume name, IMG2402 for a bad timeout, IMG2110 for an unknown architecture. When run:
 * IMG3450 to IMG3453 for a vendor's ISO that is laid out in another way than its distribution says.
 *
 * @example
 * ```ts
 * export const debianIso = iso("debian", { from: tree, volume: "DEBIAN_LAB" });
 * ```
 */
export function iso<const Name extends string>(name: Name, options: IsoOptions): Iso<Name> {
  checkCall("iso", name, options, fits);
  const arch = archOf(options.from.media.arch);
  const { console = "serial+vga", timeout = 3 } = options;
  if (!Number.isInteger(timeout) || timeout < 0 || timeout > 600) {
    throw new ImgtaskError("IMG2402", `Bad timeout ${JSON.stringify(timeout)} for "iso:${name}"`, {
      expected: "whole seconds, 0 to 600",
      exitCode: ExitCode.usage,
    });
  }
  // The medium itself is an input of its own: nothing copies gigabytes into the tree that is laid over it.
  const vendor = options.from.media.kind === "iso" ? options.from.verified : undefined;
  const declared = target(`iso:${name}`, {
    description: `Unattended installer of ${options.from.media.id}, as an ISO image`,
    inputs: { from: options.from, ...(vendor === undefined ? {} : { media: vendor }) },
    params: { arch: arch.name, volume: volumeOf(name, options.volume, vendor !== undefined), console, timeout, title: vendor === undefined ? `Install ${name}` : `Unattended installation of ${name}` },
    tools: [xorriso, implanter, ...(vendor === undefined ? makeTools(arch) : remasterTools)],
    outputs: { out: output("file", "iso", { path: `artifacts/iso/${name}.iso` }) },
    platform: arch.name,
    untracked: { reads: ["/etc/mtools.conf", "/etc/default/mtools.conf"] },
    module: import.meta.url,
    run: build,
  });
  return Object.freeze({ ...declared, arch: arch.name });
}

type Build = RunContext<
  { readonly from: Customized; readonly media?: Verified },
  { readonly arch: string; readonly volume: string | null; readonly console: Console; readonly timeout: number; readonly title: string },
  { readonly out: OutputSpec }
>;

async function build(context: Build): Promise<void> {
  const { inputs, params, outputs } = context;
  const arch = archOf(params.arch);
  const { volume, console, timeout, title } = params;
  if (inputs.media !== undefined) {
    const image = join(inputs.media, "media.iso");
    return remaster({ image, tree: inputs.from, arch, console, timeout, title, out: outputs.out, ...(volume === null ? {} : { volume }) }, context);
  }
  return make({ target: context.target, tree: inputs.from, arch, params: { ...params, volume: volume ?? "" }, out: outputs.out }, context);
}
