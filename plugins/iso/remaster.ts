/**
 * A vendor's ISO, made anew with an unattended installation in it: boot records replayed, files laid over, menus that
 * start by themselves, lists of checksums kept true, the checksum of the medium put into it.
 * Knows how ISOs are made; of layouts it knows what {@linkcode Layout} says.
 * @module
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { type Arch, ExitCode, ImgtaskError, type IsoLayout, type RunContext } from "../../lib/mod.ts";
import { type Console, consoleArguments } from "./boot-menu.ts";
import { updateMd5sums, updateTreeinfo } from "./checksums.ts";
import { listEsp, readEsp, writeEsp } from "./esp.ts";
import { relabelGrub, unattendedGrub } from "./grub-menu.ts";
import { implant } from "./implant.ts";
import { includedBy, unattendedIsolinux } from "./isolinux-menu.ts";
import { layouts } from "./layout.ts";
import type { Layout } from "./layout-type.ts";
import { type Medium, readMedium, takeEfi, takeFiles } from "./medium.ts";
import { type MenuChange, withArguments } from "./menu.ts";
import { labelOnCommandLine, relabelArguments } from "./volume.ts";

/** Content of `customize.json` in an installer tree: what boot menus must say for the answers to be found. */
export interface Customization {
  readonly format: 1;
  readonly layout: IsoLayout;
  /** Words for the kernel's command line; `{volume}` becomes the medium's label. */
  readonly arguments: readonly string[];
  /** Initial file systems behind the vendor's own: paths on the medium. */
  readonly initrds: readonly string[];
}

/** What a remastered ISO is made of. */
export interface Remaster {
  /** The vendor's ISO. */
  readonly image: string;
  /** Directory of files to lay over it, with `customize.json` beside them. */
  readonly tree: string;
  readonly arch: Arch;
  /** Another volume label. @default the vendor's */
  readonly volume?: string;
  readonly console: Console;
  readonly timeout: number;
  readonly title: string;
  readonly out: string;
}

type Context = Pick<RunContext, "exec" | "epoch" | "tmp" | "log" | "progress">;

/** Of the unattended entry, in every menu. */
const entryId = "imgtask";

const espType = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

function layoutOf(name: IsoLayout, medium: Medium): Layout {
  const layout = layouts[name];
  const missing = layout.marks.find((mark) => ![...medium.files.keys()].some((path) => mark.test(path)));
  if (missing === undefined) return layout;
  throw new ImgtaskError("IMG3451", `The medium "${medium.volume}" is not laid out as "${name}" media are`, {
    expected: `a file like ${String(missing)}`,
    found: `${medium.files.size} files, among them ${[...medium.files.keys()].slice(0, 5).join(", ")}`,
    exitCode: ExitCode.failed,
  });
}

/** Regular files below a directory: paths beginning with `/`. */
function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => `/${posix.relative(directory, join(entry.parentPath, entry.name))}`).sort();
}

/** Texts of a medium that may change, and those that did. */
class Texts {
  readonly changed: Map<string, string> = new Map();
  readonly #texts: Map<string, string>;

  constructor(texts: Map<string, string>) {
    this.#texts = texts;
  }

  get(path: string): string | undefined {
    return this.changed.get(path) ?? this.#texts.get(path);
  }

  set(path: string, text: string | undefined): void {
    if (text !== undefined && text !== this.get(path)) this.changed.set(path, text);
  }
}

/** The texts of a medium that menus and lists of checksums are made of. */
async function readTexts(medium: Medium, layout: Layout, context: Context): Promise<Texts> {
  const configuration = layout.isolinux.map((path) => posix.dirname(path));
  const wanted = [...medium.files].filter(([path, size]) =>
    size < 4 << 20 && (layout.grub.includes(path) || path === `/${layout.checksums}` || (path.endsWith(".cfg") && configuration.includes(posix.dirname(path))))
  ).map(([path]) => path);
  const directory = join(context.tmp, "vendor");
  mkdirSync(directory);
  const to = new Map(wanted.map((path, index) => [path, join(directory, String(index))]));
  await takeFiles(medium, to, context);
  return new Texts(new Map([...to].map(([path, file]) => [path, readFileSync(file, "utf8")])));
}

/** Makes every menu on the medium unattended, and counts them. */
function changeMenus(texts: Texts, layout: Layout, change: MenuChange, label: { readonly from: string; readonly to: string }): number {
  let menus = 0;
  for (const path of layout.isolinux) {
    const files = includedBy(path, (one) => texts.get(one));
    const changed = unattendedIsolinux(new Map([...files].map(([one, text]) => [one, relabelArguments(text, label)])), change);
    if (changed === undefined) continue;
    menus++;
    for (const [one, text] of files) texts.set(one, changed.get(one) ?? relabelArguments(text, label));
  }
  for (const path of layout.grub) {
    const text = texts.get(path);
    if (text === undefined) continue;
    const relabelled = relabelArguments(relabelGrub(text, label.from, label.to), label);
    const changed = unattendedGrub(relabelled, change);
    if (changed !== undefined) menus++;
    texts.set(path, changed ?? relabelled);
  }
  return menus;
}

/** Makes the menus on the EFI system partition unattended; gives the changed image. */
async function changeEsp(medium: Medium, layout: Layout, change: MenuChange, label: { readonly from: string; readonly to: string }, context: Context): Promise<string | undefined> {
  if (medium.efi === undefined || layout.esp === undefined) return undefined;
  const image = join(context.tmp, "esp.img");
  takeEfi(medium, medium.efi, image);
  let changed = false;
  for (const path of await listEsp(image, context)) {
    if (!layout.esp.test(path.toLowerCase())) continue;
    const text = await readEsp(image, path, context);
    const relabelled = relabelArguments(relabelGrub(text, label.from, label.to), label);
    const result = unattendedGrub(relabelled, change) ?? relabelled;
    if (result === text) continue;
    await writeEsp(image, path, result, context);
    changed = true;
  }
  return changed ? image : undefined;
}

/**
 * Makes the ISO.
 *
 * @throws {ImgtaskError} IMG3450 when the image is no ISO, IMG3451 when it is laid out in another way than was said,
 * IMG3452 when its EFI system partition is full, IMG3453 when no menu on it could be changed.
 */
export async function remaster({ image, tree, arch, volume, console, timeout, title, out }: Remaster, context: Context): Promise<void> {
  const { exec, epoch, tmp, log, progress } = context;
  const customization = JSON.parse(readFileSync(join(tree, "customize.json"), "utf8")) as Customization;
  progress("reading the vendor's medium");
  const medium = await readMedium(image, context);
  const layout = layoutOf(customization.layout, medium);
  const texts = await readTexts(medium, layout, context);
  const label = { from: medium.volume, to: volume ?? medium.volume };
  const words = customization.arguments.map((word) => word.replaceAll("{volume}", labelOnCommandLine(label.to)));
  const change: MenuChange = {
    id: entryId,
    title,
    timeout,
    serial: console !== "vga" && arch.grub.bios !== undefined,
    model: layout.model,
    boot: (model) => ({ ...withArguments(model, words, consoleArguments({ arch, console })), initrds: [...model.initrds, ...customization.initrds] }),
  };
  const menus = changeMenus(texts, layout, change, label);
  const esp = await changeEsp(medium, layout, change, label, context);
  if (menus === 0) {
    throw new ImgtaskError("IMG3453", `The medium "${medium.volume}" has no boot menu that imgtask can change`, {
      expected: `an entry that starts the installer, in ${[...layout.isolinux, ...layout.grub].join(" or ")}`,
      exitCode: ExitCode.failed,
    });
  }

  // All that is put on the medium, with modes and times of its own: the stage holds copies.
  const stage = join(tmp, "stage");
  const added = new Map<string, Uint8Array>();
  for (const path of filesBelow(tree)) if (path !== "/customize.json") added.set(path, readFileSync(join(tree, path)));
  for (const [path, text] of texts.changed) added.set(path, Buffer.from(text));
  if (esp !== undefined && medium.efi?.path !== undefined) added.set(medium.efi.path, readFileSync(esp));
  // A copy of the EFI system partition among the files is kept like it.
  else if (esp !== undefined && medium.files.has("/images/efiboot.img")) added.set("/images/efiboot.img", readFileSync(esp));
  const list = `/${layout.checksums}`;
  const checksums = texts.get(list);
  if (checksums !== undefined) added.set(list, Buffer.from((layout.checksums === ".treeinfo" ? updateTreeinfo : updateMd5sums)(checksums, added)));
  for (const [path, bytes] of added) {
    mkdirSync(dirname(join(stage, path)), { recursive: true });
    writeFileSync(join(stage, path), bytes);
  }

  progress("writing the ISO");
  const paths = [...added.keys()].sort();
  const parents = new Set(paths.flatMap((path) => {
    const all: string[] = [];
    for (let one = posix.dirname(path); one !== "/"; one = posix.dirname(one)) all.push(one);
    return all;
  }));
  const fresh = [...parents].filter((path) => ![...medium.files.keys()].some((file) => file.startsWith(`${path}/`))).sort();
  const date = new Date(epoch * 1000).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
  const gpt = medium.efi?.partition?.gpt === true;
  await exec([
    // No settings of the host; names are what they are.
    "xorriso", "-no_rc", "-iso_rr_pattern", "off", "-disk_pattern", "off",
    "-indev", `stdio:${image}`, "-outdev", `stdio:${out}`,
    "-boot_image", "any", "replay",
    ...(medium.joliet ? ["-joliet", "on"] : []),
    ...(volume === undefined ? [] : ["-volid", volume]),
    ...paths.flatMap((path) => ["-map", join(stage, path), path]),
    "-chown", "0", ...paths, ...fresh, "--", "-chgrp", "0", ...paths, ...fresh, "--",
    "-chmod", "0444", ...paths, "--", ...(fresh.length === 0 ? [] : ["-chmod", "0555", ...fresh, "--"]),
    ...(esp !== undefined && medium.efi?.path === undefined
      ? ["-append_partition", String(medium.efi?.partition?.number ?? 2), gpt ? espType : "0xef", esp, ...(gpt ? ["-boot_image", "any", "appended_part_as=gpt"] : [])]
      : []),
    // Every time stamp and identifier that would otherwise come from the clock.
    "-volume_date", "uuid", `${date}00`, "-volume_date", "m", `=${epoch}`,
    "-alter_date", "b-c", `=${epoch}`, ...paths, ...parents, "/", "--",
    "-commit",
  ], { env: { TZ: "UTC", LC_ALL: "C.UTF-8" } });
  chmodSync(out, 0o644);
  await implant(out, exec);
  log(`${medium.volume} (${medium.files.size} files): ${menus} menus unattended${esp === undefined ? "" : ", and those of the EFI system partition"}, ${paths.length} files laid over`);
}
