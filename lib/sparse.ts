/**
 * Big files as what is in them: blocks that are not all zeros, and where they stand. Digests and copies that take time
 * for the data alone, and are the same whether zeros are stored or are holes. Knows no cache and no store.
 * @module
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, statfs } from "node:fs/promises";
import { type Digest, digestOf } from "./digest.ts";

const block = 4096;
const pieceSize = 4 * 1024 * 1024;
const zeros = Buffer.alloc(block);

/** Start and end of something in a file, in bytes. */
type Range = readonly [start: number, end: number];

/**
 * File systems that are trusted to know their holes: ext4, XFS, Btrfs, tmpfs, F2FS, overlayfs. Others have been seen to
 * call a hole what had just been written (ZFS), or do not say.
 */
const trusted: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x794c7630]);

/**
 * Node has no `lseek`; perl, which every Debian has, asks for the next data (3) and the next hole (4). Holes below
 * 256 KiB are read: that is faster than another line. The last line tells that the list is whole.
 */
const listData = `
my ($at, $from, $to) = (0, -1, -1);
for (;;) {
  my $data = sysseek(STDIN, $at, 3);
  if (!defined $data) { last if $! + 0 == 6; exit 1; }
  my $hole = sysseek(STDIN, $data, 4);
  if (!defined $hole) { last if $! + 0 == 6; exit 1; }
  $at = 0 + $hole;
  if ($from >= 0 && $data - $to < 262144) { $to = $at; next; }
  print "$from $to\\n" if $from >= 0;
  ($from, $to) = (0 + $data, $at);
}
print "$from $to\\n" if $from >= 0;
print "end\\n";
`;

/** Where an open file has data, in order; `undefined` where that cannot be found out. */
async function dataRanges(handle: FileHandle): Promise<readonly Range[] | undefined> {
  const type = await statfs(`/proc/self/fd/${handle.fd}`).then((found) => found.type, () => 0);
  if (!trusted.has(type)) return undefined;
  const { spawn } = await import("node:child_process");
  const text = await new Promise<string | undefined>((resolve) => {
    const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C" };
    const child = spawn("perl", ["-e", listData], { cwd: "/", env, stdio: [handle.fd, "pipe", "ignore"] });
    let text = "";
    child.stdout!.setEncoding("latin1").on("data", (part: string) => (text += part));
    child.once("error", () => resolve(undefined));
    child.once("close", (code) => resolve(code === 0 ? text : undefined));
  });
  if (text === undefined || !/^(?:\d+ \d+\n)*end\n$/.test(text)) return undefined;
  return text.split("\n").slice(0, -2).map((line) => line.split(" ").map(Number) as unknown as Range);
}

/** The parts of a file that may hold something, each of whole blocks (but for the file's end) and at most 4 MiB. */
function* cut(ranges: readonly Range[], size: number): Generator<Range> {
  let done = 0;
  for (const [from, to] of ranges) {
    const end = Math.min(size, Math.ceil(to / block) * block);
    for (let at = Math.max(done, Math.floor(from / block) * block); at < end; at += pieceSize) yield [at, Math.min(end, at + pieceSize)];
    done = Math.max(done, end);
  }
}

async function readRange(handle: FileHandle, buffer: Buffer, [from, to]: Range): Promise<Buffer> {
  let filled = 0;
  while (filled < to - from) {
    const { bytesRead } = await handle.read(buffer, filled, to - from - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** A run of blocks that are not all zeros. */
interface Run {
  /** Position in the file. */
  readonly at: number;
  /** Valid until the next one is asked for. */
  readonly bytes: Buffer;
}

/** Runs of a piece's blocks that are not all zeros. */
function* runsOf(bytes: Buffer, at: number): Generator<Run> {
  let from = -1;
  for (let start = 0; start < bytes.length; start += block) {
    const end = Math.min(start + block, bytes.length);
    const empty = bytes[start] === 0 && bytes[end - 1] === 0 && zeros.compare(bytes, start, end, 0, end - start) === 0;
    if (!empty && from < 0) from = start;
    if (empty && from >= 0) {
      yield { at: at + from, bytes: bytes.subarray(from, start) };
      from = -1;
    }
  }
  if (from >= 0) yield { at: at + from, bytes: bytes.subarray(from) };
}

/** All runs of a file, in order. The next piece is read while one is used. */
async function* runs(handle: FileHandle, holes: "ask" | "read"): AsyncGenerator<Run> {
  const stat = await handle.stat();
  const known = holes === "ask" && isSparse(stat) ? await dataRanges(handle) : undefined;
  const pieces = cut(known ?? [[0, stat.size]], stat.size);
  const buffers = [Buffer.allocUnsafe(pieceSize), Buffer.allocUnsafe(pieceSize)] as const;
  let turn = 0;
  const begin = (): { readonly at: number; readonly bytes: Promise<Buffer> } | undefined => {
    const next = pieces.next();
    if (next.done === true) return undefined;
    const bytes = readRange(handle, buffers[turn++ % 2]!, next.value);
    // Awaited below, unless what uses the runs fails first.
    bytes.catch(() => {});
    return { at: next.value[0], bytes };
  };
  for (let current = begin(); current !== undefined; ) {
    const bytes = await current.bytes;
    const next = begin();
    yield* runsOf(bytes, current.at);
    current = next;
  }
}

/** Whether a file takes so much less room than it is long that its holes are worth asking for. */
export function isSparse(stat: { readonly size: number; readonly blocks: number }): boolean {
  return stat.size >= 1024 * 1024 && stat.blocks * 512 < stat.size * 0.875;
}

/**
 * Digest of a file by its size and its blocks of 4096 bytes that are not all zeros: the SHA-256 of their bytes, and of
 * the list of their runs. Reads only what is data, where that can be found out; the digest is the same where not.
 *
 * @param holes `"read"` asks for no holes @default "ask"
 */
export async function digestSparse(path: string, holes: "ask" | "read" = "ask"): Promise<Digest> {
  const data = createHash("sha256"), map = createHash("sha256");
  let from = 0, to = 0;
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    for await (const { at, bytes } of runs(handle, holes)) {
      data.update(bytes);
      if (at !== to) {
        map.update(`${from} ${to}\n`);
        from = at;
      }
      to = at + bytes.length;
    }
    map.update(`${from} ${to}\n`);
    return digestOf(`imgtask sparse 1\nsize ${size}\nmap ${map.digest("hex")}\ndata ${data.digest("hex")}\n`);
  } finally {
    await handle.close();
  }
}

/** Copies a file to a path where nothing is; blocks of zeros become holes. */
export async function copySparse(from: string, to: string): Promise<void> {
  const source = await open(from, "r");
  try {
    const stat = await source.stat();
    const copy = await open(to, "wx", stat.mode & 0o777);
    try {
      for await (const { at, bytes } of runs(source, "ask")) {
        for (let done = 0; done < bytes.length; ) done += (await copy.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      }
      await copy.truncate(stat.size);
    } finally {
      await copy.close();
    }
  } finally {
    await source.close();
  }
}
