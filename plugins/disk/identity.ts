/**
 * Gives disk images of other virtualizers identifiers and times that follow from a name: qemu-img draws random ones and
 * looks at the clock. Only fields that the formats' specifications name are written, their checksums included.
 * Knows no target and no tool.
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync, truncateSync, writeSync } from "node:fs";
import { ImgtaskError } from "../../lib/mod.ts";
import { crc32c } from "./ext4.ts";

/** Sixteen bytes that depend on nothing but the seed and the purpose: a UUID of version 8 (RFC 9562). */
function uuid(seed: string, purpose: string): Buffer {
  const bytes = createHash("sha256").update(`${seed}\0${purpose}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** A GUID as Microsoft stores it: the first three fields are little endian. */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function withFile<T>(path: string, body: (read: (at: number, length: number) => Buffer, write: (at: number, bytes: Buffer) => void, size: number) => T): T {
  const fd = openSync(path, "r+");
  try {
    const read = (at: number, length: number): Buffer => {
      const buffer = Buffer.alloc(length);
      return buffer.subarray(0, readSync(fd, buffer, 0, length, at));
    };
    return body(read, (at, bytes) => void writeSync(fd, bytes, 0, bytes.length, at), fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

function unexpected(format: string, what: string): ImgtaskError {
  return new ImgtaskError("IMG3140", `The ${format} image that qemu-img made is not as expected`, { found: what, hint: "Another version of qemu-img may write it otherwise; please report it" });
}

/** The four digits of the content id follow from the seed; ffffffff would mean "no parent". */
function contentId(seed: string): string {
  const id = createHash("sha256").update(`${seed}\0cid`).digest("hex").slice(0, 8);
  return id === "ffffffff" ? "fffffffe" : id;
}

/**
 * Sets the content id of a VMDK: of a hosted sparse extent, whose header says where the descriptor is embedded, or of a
 * descriptor file. (VMware, "Virtual Disk Format 5.0", The Descriptor; Hosted Sparse Extent Header.)
 */
export function identifyVmdk(path: string, seed: string): void {
  const end = withFile(path, (read, write, size): number | undefined => {
    const header = read(0, 512);
    const sparse = header.toString("latin1", 0, 4) === "KDMV";
    const at = sparse ? Number(header.readBigUInt64LE(28)) * 512 : 0;
    const length = sparse ? Number(header.readBigUInt64LE(36)) * 512 : Math.min(size, 65_536);
    const descriptor = read(at, length).toString("latin1");
    // qemu-img writes the number without leading zeros, so it may be shorter than what takes its place.
    if (!/^# Disk DescriptorFile\n[^\0]*^CID=[0-9a-f]{1,8}$/m.test(descriptor)) throw unexpected("VMDK", "no content id in the descriptor");
    const text = descriptor.replace(/\0+$/, "").replace(/^CID=[0-9a-f]{1,8}$/m, `CID=${contentId(seed)}`);
    if (sparse && text.length > length) throw unexpected("VMDK", "a descriptor without room");
    write(at, Buffer.from(sparse ? text.padEnd(length, "\0") : text, "latin1"));
    return sparse ? undefined : text.length;
  });
  if (end !== undefined) truncateSync(path, end);
}

const headerOffsets = [64 * 1024, 128 * 1024] as const;
const regionTable = 192 * 1024;
const metadataRegion = guid("8B7CA206-4790-4B9A-B8FE-575F050F886E");
const page83 = guid("BECA12AB-B2E6-4523-93EF-C309E000C746");

/**
 * Sets write identifiers and sequence numbers of both headers of a VHDX, and the identifier of its virtual disk, and empties its log, which
 * must have nothing to replay. ([MS-VHDX] 2.2.2 Headers, 2.2.3 Region Table, 2.3 Log, 2.6.2.4 Virtual Disk ID.)
 */
export function identifyVhdx(path: string, seed: string): void {
  withFile(path, (read, write) => {
    if (read(0, 8).toString("latin1") !== "vhdxfile") throw unexpected("VHDX", "another signature");
    const headers = headerOffsets.map((at) => read(at, 4096));
    if (headers.some((header) => header.toString("latin1", 0, 4) !== "head")) throw unexpected("VHDX", "a header is missing");
    // The one with the higher number counts; the numbers begin anywhere.
    const current = headers.reduce((one, other) => (other.readBigUInt64LE(8) > one.readBigUInt64LE(8) ? other : one));
    if (current.subarray(48, 64).some((byte) => byte !== 0)) throw unexpected("VHDX", "a log that is still to be replayed");
    uuid(seed, "file write").copy(current, 16);
    uuid(seed, "data write").copy(current, 32);
    for (const [index, at] of headerOffsets.entries()) {
      current.writeBigUInt64LE(BigInt(index + 1), 8);
      current.writeUInt32LE(0, 4);
      current.writeUInt32LE((crc32c(0xffffffff, current) ^ 0xffffffff) >>> 0, 4);
      write(at, current);
    }
    write(Number(current.readBigUInt64LE(72)), Buffer.alloc(current.readUInt32LE(68)));
    const table = read(regionTable, 65_536);
    const regions = Math.min(table.readUInt32LE(8), 2047);
    const region = Array.from({ length: regions }, (_, index) => table.subarray(16 + index * 32, 48 + index * 32)).find((entry) => entry.subarray(0, 16).equals(metadataRegion));
    if (table.toString("latin1", 0, 4) !== "regi" || region === undefined) throw unexpected("VHDX", "no metadata region");
    const start = Number(region.readBigUInt64LE(16));
    const metadata = read(start, 65_536);
    const items = Math.min(metadata.readUInt16LE(10), 2047);
    const item = Array.from({ length: items }, (_, index) => metadata.subarray(32 + index * 32, 64 + index * 32)).find((entry) => entry.subarray(0, 16).equals(page83));
    if (item === undefined) throw unexpected("VHDX", "no identifier of the virtual disk");
    write(start + item.readUInt32LE(16), uuid(seed, "virtual disk"));
  });
}

/** Seconds between 1970 and 2000, when the time of VHD begins. */
const vhdEpoch = 946_684_800;

/**
 * Sets time and identifier in the footer of a fixed VHD. (Microsoft, "Virtual Hard Disk Image Format Specification" 1.0,
 * Hard Disk Footer Format: the checksum is the complement of the sum of all bytes but its own.)
 */
export function identifyVhd(path: string, seed: string, epoch: number): void {
  withFile(path, (read, write, size) => {
    const footer = read(size - 512, 512);
    if (footer.toString("latin1", 0, 8) !== "conectix") throw unexpected("VHD", "no footer");
    footer.writeUInt32BE(Math.max(0, epoch - vhdEpoch), 24);
    uuid(seed, "disk").copy(footer, 68);
    footer.writeUInt32BE(0, 64);
    footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
    write(size - 512, footer);
  });
}
