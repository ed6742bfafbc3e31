/**
 * Where the files of an OVA lie in it, so that each can be sent on its own without unpacking. Reads headers only.
 *
 * Format: tar(5), POSIX ustar, as DSP0243 (OVF) demands of an OVA: the descriptor first.
 * @module
 */
import { open } from "node:fs/promises";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";

/** A file in an archive. */
export interface Member {
  readonly name: string;
  /** Bytes from the beginning of the archive. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

const block = 512;
/** Many more than a virtual machine has disks. */
const most = 1000;

function refuse(path: string, found: string): never {
  throw new ImgtaskError("IMG3552", `"${path}" is no OVA that can be sent file by file`, {
    expected: "a tar archive of regular files, the descriptor (.ovf) first", found, hint: 'convert() with format "ova" makes such', exitCode: ExitCode.failed,
  });
}

/** A number as tar writes it: octal, or with the first bit set as a binary one, for what is larger. */
function numberIn(field: Buffer): number {
  if ((field[0]! & 0x80) !== 0) return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
  const text = field.toString("latin1").replace(/[\0 ]+$/, "").trimStart();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

/**
 * The files of an OVA, in their order.
 *
 * @param name for people
 * @throws {ImgtaskError} IMG3552
 */
export async function membersOf(path: string, name: string): Promise<readonly Member[]> {
  const file = await open(path);
  const members: Member[] = [];
  try {
    const { size: whole } = await file.stat();
    const head = Buffer.alloc(block);
    for (let at = 0; ; ) {
      const { bytesRead } = await file.read(head, 0, block, at);
      if (bytesRead < block) refuse(name, `it ends at byte ${at + bytesRead}, without an end mark`);
      if (head.every((byte) => byte === 0)) break;
      const sum = head.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 32 : byte), 0);
      const size = numberIn(head.subarray(124, 136));
      if (numberIn(head.subarray(148, 156)) !== sum || !Number.isSafeInteger(size) || size < 0) refuse(name, `no header of tar at byte ${at}`);
      const member = head.toString("utf8", 0, 100).replace(/\0.*$/s, "");
      const type = String.fromCharCode(head[156]!);
      if (!["0", "\0"].includes(type)) refuse(name, `"${member}", which is no regular file`);
      // Names become names of files on the server.
      if (!/^[A-Za-z0-9][A-Za-z0-9._ +=-]*$/.test(member) || members.some((one) => one.name === member)) refuse(name, `a file named ${JSON.stringify(member)}`);
      if (at + block + size > whole) refuse(name, `"${member}" ends behind the archive`);
      members.push({ name: member, offset: at + block, size });
      if (members.length > most) refuse(name, `more than ${most} files`);
      at += block + Math.ceil(size / block) * block;
    }
  } finally {
    await file.close();
  }
  if (members[0]?.name.endsWith(".ovf") !== true) refuse(name, members[0] === undefined ? "nothing in it" : `"${members[0].name}" first`);
  return members;
}
