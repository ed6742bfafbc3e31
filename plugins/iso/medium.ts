/**
 * A vendor's ISO image, looked into: its name, its files, where its EFI system partition is. Reads, and changes nothing.
 *
 * Format: ECMA-119 (volume descriptors from sector 16 on, 2048 bytes each); the rest as xorriso reports it.
 * @module
 */
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";

type Context = Pick<RunContext, "exec" | "tmp">;

/** A boot image for EFI firmware: a FAT file system. */
export interface EfiImage {
  /** Path on the medium, where it is a file. Else it is a partition behind the files. */
  readonly path?: string;
  /** Number of the partition that it is as well, and whether GPT has it. */
  readonly partition?: { readonly number: number; readonly gpt: boolean };
  /** Bytes from the beginning of the medium, and its size. */
  readonly offset: number;
  readonly size: number;
}

/** What is known of a medium. */
export interface Medium {
  readonly image: string;
  /** Volume identifier. */
  readonly volume: string;
  /** Whether it has names for Windows as well, which xorriso does not write anew by itself. */
  readonly joliet: boolean;
  /** Regular files: size in bytes by path, with `/` first. */
  readonly files: ReadonlyMap<string, number>;
  readonly efi?: EfiImage;
}

const sector = 2048;

/** Reads part of a file. */
export function readPart(path: string, offset: number, size: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(file, bytes, 0, size, offset));
  } finally {
    closeSync(file);
  }
}

function descriptors(image: string): { readonly volume: string; readonly joliet: boolean } {
  let volume: string | undefined;
  let joliet = false;
  for (let number = 16; number < 64; number++) {
    const bytes = readPart(image, number * sector, sector);
    if (bytes.toString("latin1", 1, 6) !== "CD001" || bytes[0] === 255) break;
    if (bytes[0] === 1) volume = bytes.toString("latin1", 40, 72).trimEnd();
    if (bytes[0] === 2) joliet ||= /^%\/[@CE]/.test(bytes.toString("latin1", 88, 91));
  }
  if (volume !== undefined) return { volume, joliet };
  throw new ImgtaskError("IMG3450", "The medium is no ISO 9660 image", { expected: "a volume descriptor in sector 16", found: "none" });
}

/** What xorriso writes around names; it quotes for a shell. */
function unquoted(text: string): string {
  return text.replace(/^'/, "").replace(/'$/, "").replaceAll(`'"'"'`, "'");
}

function efiImage(torito: string, area: string): EfiImage | undefined {
  const number = /^El Torito boot img :\s+(\d+)\s+UEFI\s+y\s/m.exec(torito)?.[1];
  const row = torito.split("\n").find((line) => new RegExp(`^El Torito boot img :\\s+${number}\\s`).test(line))?.trim().split(/\s+/);
  if (number === undefined || row === undefined) return undefined;
  const lba = Number(row.at(-1));
  const path = torito.split("\n").map((line) => new RegExp(`^El Torito img path :\\s+${number}\\s+(.+)$`).exec(line)?.[1]).find((one) => one !== undefined);
  const partitions = [
    ...[...area.matchAll(/^GPT start and size :\s+(\d+)\s+(\d+)\s+(\d+)/gm)].map((match) => ({ gpt: true, number: Number(match[1]), start: Number(match[2]), blocks: Number(match[3]) })),
    ...[...area.matchAll(/^MBR partition\s+:\s+(\d+)\s+\S+\s+\S+\s+(\d+)\s+(\d+)/gm)].map((match) => ({ gpt: false, number: Number(match[1]), start: Number(match[2]), blocks: Number(match[3]) })),
  ];
  const partition = partitions.find(({ start }) => start === lba * 4);
  // The catalog counts blocks of 512 bytes in 16 bits: for a large image it says 65535, or as much as is loaded.
  const size = Math.max(Number(row.at(-2)) * 512, (partition?.blocks ?? 0) * 512);
  return {
    ...(path === undefined ? {} : { path: unquoted(path) }),
    ...(partition === undefined ? {} : { partition: { number: partition.number, gpt: partition.gpt } }),
    offset: lba * sector,
    size,
  };
}

/**
 * Looks into an ISO image.
 *
 * @throws {ImgtaskError} IMG3450 when it is none.
 */
export async function readMedium(image: string, { exec }: Context): Promise<Medium> {
  const known = descriptors(image);
  const ask = async (...command: readonly string[]): Promise<string> =>
    (await exec(["xorriso", "-no_rc", "-indev", `stdio:${image}`, ...command], { stdout: "capture", env: { TZ: "UTC", LC_ALL: "C.UTF-8" } })).stdout;
  const listed = await ask("-find", "/", "-type", "f", "-exec", "report_lba", "--");
  const files = new Map<string, number>();
  for (const match of listed.matchAll(/^File data lba:\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*(\d+)\s*,\s*(.+)$/gm)) files.set(unquoted(match[2]!), Number(match[1]));
  const efi = efiImage(await ask("-report_el_torito", "plain"), await ask("-report_system_area", "plain"));
  const size = efi?.path === undefined ? undefined : files.get(efi.path);
  return { image, ...known, files, ...(efi === undefined ? {} : { efi: size === undefined ? efi : { ...efi, size } }) };
}

/** Takes files out of a medium. */
export async function takeFiles(medium: Medium, wanted: ReadonlyMap<string, string>, { exec }: Context): Promise<void> {
  if (wanted.size === 0) return;
  const extract = [...wanted].flatMap(([path, to]) => ["-extract_single", path, to]);
  await exec(["xorriso", "-no_rc", "-osirrox", "on", "-indev", `stdio:${medium.image}`, ...extract], { env: { TZ: "UTC", LC_ALL: "C.UTF-8" } });
}

/** Takes the EFI system partition out of a medium. */
export function takeEfi(medium: Medium, efi: EfiImage, to: string): void {
  writeFileSync(to, readPart(medium.image, efi.offset, efi.size));
}
