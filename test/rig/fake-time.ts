/**
 * Another day for a command line and all that it starts, by libfaketime: the process itself is given the library, and
 * its tools, whose environment imgtask makes, are found as small scripts that pass it on. What runs inside a root file
 * system that is being made finds the library there, too. The machine's own clock stays as it is.
 * @module
 */
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { searchPath, which } from "../../lib/process.ts";

const library = ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"].find((path) => existsSync(path));

/** Why there is no other day on this machine, if there is none. */
export const noFakeTime: string | false = library === undefined ? "libfaketime (package libfaketime) is not installed" : false;

/** Every tool that plugins run and whose clock could get into a result. */
const tools = [
  "chroot", "cp", "cpio", "dd", "debugfs", "dpkg", "dpkg-deb", "e2fsck", "gpgv", "grub-mkimage", "implantisomd5", "install", "mcopy", "mdir", "mke2fs", "mkfs.vfat",
  "mmd", "mmdebstrap", "mount", "openssl", "qemu-img", "resize2fs", "sfdisk", "tar", "unshare", "xorriso", "xz",
];

/**
 * Makes the scripts and returns the environment with which a command lives on that day.
 *
 * @param directory does not exist yet.
 * @param offset as faketime(1) has it, such as `+3d`: clocks go on from there.
 * @param before shell text that a tool's script runs first; `$name` is the tool, `"$@"` are its arguments.
 */
export function fakeTime(directory: string, offset: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  mkdirSync(directory);
  // Times of files are left alone: the library shows them with the offset on top, those that a recipe has set, too.
  const env = { LD_PRELOAD: library!, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: "1", NO_FAKE_STAT: "1" };
  const set = Object.entries(env).map(([name, value]) => `${name}='${value}'; export ${name}`).join("\n");
  const script = join(directory, ".tool");
  const extra = Object.entries(before).map(([name, text]) => `  ${name})\n${text}\n  ;;\n`).join("");
  const places = tools.flatMap((name) => {
    const path = which(name, searchPath().filter((one) => one !== directory));
    return path === undefined ? [] : [{ name, path }];
  });
  // mmdebstrap runs the packages' scripts inside the tree: there the library must be, until the last of them has run.
  const inside = `mkdir -p "$1${library!.slice(0, -basename(library!).length)}" && cp ${library!} "$1${library!}"`;
  const outside = `rm -r "$1${library!.slice(0, -basename(library!).length - 1)}"`;
  writeFileSync(script, `#!/bin/sh
name=\${0##*/}
case $name in
${places.map(({ name, path }) => `  ${name}) real=${path} ;;\n`).join("")}esac
case $name in
${extra}esac
${set}
if [ "$name" = mmdebstrap ] && [ "$1" != --version ]; then
  exec "$real" --extract-hook='${inside}' "$@" --customize-hook='${outside}'
fi
exec "$real" "$@"
`);
  chmodSync(script, 0o755);
  for (const { name } of places) symlinkSync(".tool", join(directory, name));
  return { ...env, PATH: `${directory}:${process.env["PATH"] ?? ""}` };
}
