/**
 * Building images side by side in one run: imgtask, the plain mmdebstrap that is its floor, and other builders where
 * they are installed. All build the same packages from the same mirror.
 * @module
 */
import { copyFileSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { aptSources } from "../rig/apt-sources.ts";
import { byTurns, type Case, has, type Options, type Row, table, time, versionOf } from "./measure.ts";

const repository = resolve(import.meta.dirname, "../..");
const main = join(repository, "dist/lib/cli/main.js");
const packages = ["linux-image-cloud-amd64", "systemd-sysv", "udev", "openssh-server"];
const release = "bookworm";
const memoryFloor = "mmdebstrap: tar, unpacked in memory";

interface Bench {
  readonly runs: number;
  /** An empty directory. */
  readonly place: string;
  readonly say: (line: string) => void;
}

function options(bench: Bench, name: string): Options {
  const cwd = join(bench.place, name);
  mkdirSync(cwd, { recursive: true });
  return { cwd, log: join(bench.place, `${name}.log`) };
}

/** imgtask, and the root file systems without a disk around them that no builder of these packages can do without. */
function imgtask(bench: Bench): readonly Row[] {
  const { runs, say } = bench;
  const here = options(bench, "imgtask");
  cpSync(join(import.meta.dirname, "project"), here.cwd, { recursive: true });
  mkdirSync(join(here.cwd, "node_modules"));
  symlinkSync(repository, join(here.cwd, "node_modules/imgtask"));
  writeFileSync(join(here.cwd, "package.json"), `{ "type": "module", "private": true }`);
  const run = (...args: readonly string[]): number => time([process.execPath, main, "run", ...args], here);
  const forget = (): void => {
    for (const name of [".imgtask", "artifacts"]) rmSync(join(here.cwd, name), { recursive: true, force: true });
  };
  say("imgtask and mmdebstrap, from nothing");
  const cold = byTurns(runs, [
    ...floor(bench),
    { what: "imgtask: disk, cold", prepare: forget, measure: () => run("disk:bench"), against: memoryFloor },
  ]);
  say("imgtask: unchanged, one change, ISO");
  const marker = join(here.cwd, "overlay/etc/marker");
  const image = join(here.cwd, "artifacts/iso/bench.iso");
  const copy = join(here.cwd, "copy.iso");
  run("iso:bench");
  const warm = byTurns(Math.max(runs, 3), [
    { what: "imgtask: disk, one file of the overlay changed", prepare: (round) => writeFileSync(marker, `round ${round}\n`), measure: () => run("disk:bench"), against: "imgtask: disk, cold" },
    { what: "imgtask: disk, unchanged", measure: () => run("disk:bench") },
    { what: "imgtask: iso repacked", measure: () => run("iso:bench", "--force"), against: "cp of the same ISO" },
    { what: "cp of the same ISO", prepare: () => rmSync(copy, { force: true }), measure: () => time(["cp", "--reflink=never", image, copy], here) },
  ]);
  return [...cold, ...warm];
}

function floor(bench: Bench): readonly Case[] {
  if (!has("mmdebstrap")) return [];
  const here = options(bench, "mmdebstrap");
  const build = (out: string, env: NodeJS.ProcessEnv = {}): number =>
    time(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", `--include=${packages.join(",")}`, release, join(here.cwd, out), ...aptSources(release)], { ...here, env });
  const forget = (): void => {
    rmSync(here.cwd, { recursive: true });
    mkdirSync(here.cwd);
  };
  return [
    // imgtask unpacks in memory where there is room, so this is what it is to be compared with.
    { what: memoryFloor, prepare: forget, measure: () => build("root.tar", { TMPDIR: "/dev/shm" }) },
    { what: "mmdebstrap: tar", prepare: forget, measure: () => build("root.tar") },
    { what: "mmdebstrap: directory", prepare: forget, measure: () => build("root") },
  ];
}

function mkosi(bench: Bench): readonly Row[] {
  if (!has("mkosi")) return [];
  const here = options(bench, "mkosi");
  const marker = join(here.cwd, "mkosi.extra/etc/marker");
  mkdirSync(join(here.cwd, "mkosi.extra/etc"), { recursive: true });
  writeFileSync(marker, "one\n");
  writeFileSync(join(here.cwd, "mkosi.conf"), [
    "[Distribution]", "Distribution=debian", `Release=${release}`, "[Output]", "Format=disk", "Output=bench",
    "[Content]", `Packages=${[...packages, "systemd-boot"].join(",")}`, "Bootable=yes", "[Build]", "Incremental=yes", "",
  ].join("\n"));
  const run = (): number => time(["mkosi", "--force", "build"], here);
  bench.say("mkosi");
  return byTurns(bench.runs, [
    { what: "mkosi: disk, cold", prepare: () => void time(["mkosi", "-ff", "clean"], here), measure: run, against: memoryFloor },
    { what: "mkosi: disk, one file changed (incremental)", prepare: (round) => writeFileSync(marker, `round ${round}\n`), measure: run, against: "mkosi: disk, cold" },
  ]);
}

function vmdb2(bench: Bench): readonly Row[] {
  if (!has("vmdb2")) return [];
  const here = options(bench, "vmdb2");
  const marker = join(here.cwd, "marker");
  const mirror = aptSources(release)[0]!.split(" ")[1]!;
  writeFileSync(join(here.cwd, "disk.json"), JSON.stringify({
    steps: [
      { mkimg: "{{ output }}", size: "2G" },
      { mklabel: "msdos", device: "{{ output }}" },
      { mkpart: "primary", device: "{{ output }}", start: "1M", end: "100%", tag: "root" },
      { kpartx: "{{ output }}" },
      { mkfs: "ext4", partition: "root" },
      { mount: "root" },
      { "unpack-rootfs": "root" },
      { debootstrap: release, mirror, target: "root", variant: "minbase", unless: "rootfs_unpacked" },
      { apt: "install", packages: [...packages, "grub-pc"], recommends: false, tag: "root", unless: "rootfs_unpacked" },
      { "cache-rootfs": "root", unless: "rootfs_unpacked" },
      { "copy-file": "/etc/marker", src: "marker" },
      { fstab: "root" },
      { grub: "bios", tag: "root", console: "serial" },
    ],
  }));
  const run = (): number => {
    rmSync(join(here.cwd, "disk.img"), { force: true });
    return time(["vmdb2", "--output", "disk.img", "--rootfs-tarball", "root.tar.gz", "disk.json"], here);
  };
  bench.say("vmdb2");
  writeFileSync(marker, "one\n");
  return byTurns(bench.runs, [
    { what: "vmdb2: disk, cold", prepare: () => rmSync(join(here.cwd, "root.tar.gz"), { force: true }), measure: run, against: memoryFloor },
    { what: "vmdb2: disk, one file changed (cached root)", prepare: (round) => writeFileSync(marker, `round ${round}\n`), measure: run, against: "vmdb2: disk, cold" },
  ]);
}

/** Measures what is installed; a peer that fails is said to have failed and is left out. */
export function benchImages(bench: Bench): string {
  const peers = [mkosi, vmdb2].flatMap((peer) => {
    try {
      return peer(bench);
    } catch (error) {
      copyFileSync(join(bench.place, `${peer.name}.log`), join(bench.place, `${peer.name}.failed.log`));
      bench.say(`${peer.name} left out: ${(error as Error).message}`);
      return [];
    }
  });
  const rows = [...imgtask(bench), ...peers];
  const versions = [versionOf("mmdebstrap", "--version"), versionOf("mkosi", "--version"), versionOf("vmdb2", "--version")];
  return `${table("Images", rows)}\n${versions.join("; ")}\n`;
}
