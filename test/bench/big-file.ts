/**
 * A disk image of 100 GiB with 2 GiB of data as an input: how long its first digest takes beside reading and hashing
 * 2 GiB, and what is read of it when it is unchanged.
 * @module
 */
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "./graph.ts";
import { byTurns, has, median, type Report, shown, table, time } from "./measure.ts";

const gibibyte = 1024 ** 3;
const mebibyte = 1024 ** 2;

const imagefile = `import { writeFileSync } from "node:fs";
import { output, source, target } from "imgtask";

export default target("look", {
  inputs: { disk: source("disk.raw") },
  outputs: { out: output("file", "part", { path: "out" }) },
  run: ({ outputs }) => writeFileSync(outputs.out, "seen"),
});
`;

const readAndHash = `
const { createHash } = require("node:crypto"), { openSync, readSync } = require("node:fs");
const hash = createHash("sha256"), buffer = Buffer.alloc(4 << 20), fd = openSync("data", "r");
for (let read; (read = readSync(fd, buffer)) > 0; ) hash.update(buffer.subarray(0, read));
hash.digest();
`;

function project(bench: Bench, name: string): string {
  const directory = join(bench.place, name);
  mkdirSync(directory);
  writeFileSync(join(directory, "package.json"), `{ "type": "module", "private": true }`);
  writeFileSync(join(directory, "imagefile.ts"), imagefile);
  return directory;
}

/** 2 GiB of random bytes, spread over 100 GiB; and the same bytes as a plain file. */
function fill(directory: string): void {
  const [disk, data] = [join(directory, "disk.raw"), join(directory, "data")].map((path) => openSync(path, "w")) as [number, number];
  ftruncateSync(disk, 100 * gibibyte);
  const piece = Buffer.alloc(16 * mebibyte);
  for (let i = 0; i < 128; i++) {
    randomFillSync(piece);
    writeSync(disk, piece, 0, piece.length, i * 799 * mebibyte);
    writeSync(data, piece);
  }
  closeSync(disk);
  closeSync(data);
}

/** What a run reads by system calls, all its processes; and how often it opens the file, where strace is there. */
function reads(argv: readonly string[], cwd: string): { readonly bytes: number; readonly opens: number | undefined } {
  const { stdout } = spawnSync("sh", ["-c", '"$@" >/dev/null 2>&1; cat /proc/$$/io', "sh", ...argv], { cwd, encoding: "utf8" });
  const log = join(cwd, "strace.log");
  const traced = has("strace") && spawnSync("strace", ["-f", "-e", "trace=open,openat", "-o", log, ...argv], { cwd, stdio: "ignore" }).status === 0;
  const opens = traced ? readFileSync(log, "utf8").split("\n").filter((line) => line.includes("disk.raw")).length : undefined;
  return { bytes: Number(/^rchar: (\d+)$/m.exec(stdout)?.[1]), opens };
}

/** Measures on the file system of temporary files. */
export function benchSparse(bench: Bench): Report {
  bench.say("100 GiB with 2 GiB of data");
  const [directory, plain] = [project(bench, "sparse"), project(bench, "small")];
  fill(directory);
  writeFileSync(join(plain, "disk.raw"), "small");
  const argv = [bench.imgtask, "run", "look"] as const;
  const here = { cwd: directory, log: `${directory}.log` };
  const forget = (at: string) => (): void => {
    for (const name of [".imgtask", "out"]) rmSync(join(at, name), { recursive: true, force: true });
    utimesSync(join(at, "disk.raw"), 1, 1);
    spawnSync("sleep", ["0.1"]);
  };
  const rows = byTurns(bench.runs, [
    { what: "reading and hashing 2 GiB (Node, SHA-256)", measure: () => time([process.execPath, "-e", readAndHash], here) },
    { what: "first run, a small file instead", prepare: forget(plain), measure: () => time(argv, { ...here, cwd: plain }) },
    { what: "first run, 100 GiB with 2 GiB of data", prepare: forget(directory), measure: () => time(argv, here) },
    { what: "unchanged", measure: () => time(argv, here) },
    { what: "unchanged, a small file instead", measure: () => time(argv, { ...here, cwd: plain }) },
  ]);
  const of = (what: string): number => median(rows.find((row) => row.what.startsWith(what))!.seconds);
  const [big, small] = [reads(argv, directory), reads(argv, plain)];
  const hashing = of("first run, 100") - of("first run, a small");
  const unit = of("reading");
  const opens = big.opens === undefined ? "" : `; it is opened ${big.opens} times`;
  const room = (statSync(join(directory, "disk.raw")).blocks * 512) / gibibyte;
  rmSync(join(directory, "data"));
  return {
    findings: [
      { what: "100 GiB sparse file, unchanged", aim: "no read at all", figure: `${big.bytes} bytes read by the run, ${small.bytes} with a small file instead${opens}`, met: Math.abs(big.bytes - small.bytes) < 65_536 && (big.opens ?? 0) === 0 },
      { what: `100 GiB sparse file with ${room.toFixed(1)} GiB of data, first digest`, aim: "time for the 2 GiB (<= 1.2 ×)", figure: `${(hashing / unit).toFixed(2)} (${shown(hashing)} s / ${shown(unit)} s)`, met: hashing <= 1.2 * unit },
    ],
    parts: [table("A sparse file of 100 GiB as an input", rows)],
  };
}
