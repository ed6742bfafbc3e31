/**
 * GRUB without its installer: images made by grub-mkimage, the menu, and the BIOS boot records.
 * Knows no distribution and no partition table.
 * @module
 */
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { ImgtaskError } from "../../lib/mod.ts";
import { sector } from "./layout.ts";

/** Modules that the menu needs; they are inside the image, so the file system needs none. */
export const modules: readonly string[] = [
  "part_gpt", "ext2", "search", "search_fs_uuid", "normal", "configfile", "linux", "serial", "terminal",
  "echo", "test", "regexp", "ls", "cat", "sleep", "minicmd", "halt", "reboot", "boot",
];

/** Modules that only one platform has or needs. */
export function platformModules(platform: string): readonly string[] {
  return platform === "i386-pc" ? ["biosdisk"] : ["fat", "efi_gop"];
}

/** The script inside the images: finds the root file system by its UUID, and the menu on it. */
export function earlyConfig(rootUuid: string): string {
  return `search.fs_uuid ${rootUuid} root\nset prefix=($root)/boot/grub\nnormal $prefix/grub.cfg\n`;
}

/**
 * The menu: first the kernel that the distribution's links name, then every one there is. It is made by GRUB itself
 * at each start, so that a kernel installed later needs no update of it.
 *
 * @param kernelArguments after `root=`; the last `console=` becomes the system console.
 */
export function menu(rootUuid: string, kernelArguments: string): string {
  const args = `root=UUID=${rootUuid} ro ${kernelArguments}`;
  return `# Written by imgtask; GRUB looks for kernels at each start.
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=1
set default=0
for directory in "" /boot; do
  if [ -e "$directory/vmlinuz" -a -e "$directory/initrd.img" ]; then
    menuentry "Linux" "$directory" {
      linux "$2/vmlinuz" ${args}
      initrd "$2/initrd.img"
    }
  fi
done
for kernel in /boot/vmlinuz-*; do
  regexp --set=1:version "/boot/vmlinuz-(.*)" "$kernel"
  menuentry "Linux $version" "$version" {
    linux "/boot/vmlinuz-$2" ${args}
    initrd "/boot/initrd.img-$2"
  }
  menuentry "Linux $version (rescue)" "$version" {
    linux "/boot/vmlinuz-$2" ${args} single
    initrd "/boot/initrd.img-$2"
  }
done
`;
}

/**
 * Writes GRUB's BIOS boot records into a disk, as its own `grub-bios-setup` would (GRUB 2.06, `util/setup.c`, with
 * `include/grub/i386/pc/boot.h` and `grub-core/boot/i386/pc/{boot,diskboot}.S`):
 *
 * - boot.img becomes the first 440 bytes of the disk: at 0x5c the sector of core.img (64 bits, little endian); at
 *   0x64 the boot drive, 0xff for "the one BIOS says"; at 0x66 a jump, replaced by two `nop`, so that boot.img corrects
 *   the drive number of a BIOS that wrongly says floppy disk.
 * - core.img's first sector ends with its block list, growing downwards from 0x200: one entry of start sector
 *   (64 bits), number of sectors (16 bits) and load segment (16 bits, kept).
 *
 * @param start first sector of the BIOS boot partition; @param size its number of sectors.
 */
export function writeBiosBoot(disk: string, bootImage: string, coreImage: string, start: number, size: number): void {
  const boot = Buffer.from(readFileSync(bootImage));
  const core = Buffer.from(readFileSync(coreImage));
  const sectors = Math.ceil(core.length / sector);
  if (boot.length !== sector || core.length < sector || sectors > size) {
    throw new ImgtaskError("IMG3240", "GRUB's images are not as expected", {
      expected: `boot.img of ${sector} bytes and core.img of ${size * sector} bytes at most`,
      found: `${boot.length} and ${core.length} bytes`,
    });
  }
  boot.writeBigUInt64LE(BigInt(start), 0x5c);
  boot.writeUInt8(0xff, 0x64);
  boot.writeUInt16LE(0x9090, 0x66);
  core.writeBigUInt64LE(BigInt(start + 1), 0x1f4);
  core.writeUInt16LE(sectors - 1, 0x1fc);
  const fd = openSync(disk, "r+");
  try {
    const master = Buffer.alloc(sector);
    readSync(fd, master, 0, sector, 0);
    // What follows byte 440 is the disk signature and the protective partition table.
    boot.copy(master, 0, 0, 440);
    writeSync(fd, master, 0, sector, 0);
    writeSync(fd, core, 0, core.length, start * sector);
  } finally {
    closeSync(fd);
  }
}
