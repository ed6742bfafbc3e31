/**
 * ISOs shaped like vendors': their file names, menus and boot records, around a real kernel and Debian's installer.
 * The initial file system prints, before anything else, the kernel's command line, and digests of files on the medium.
 *
 * After debian-cd (Debian, Kali), ubuntu-cdimage with live-build (Ubuntu) and lorax (Fedora, RHEL family).
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { cpio, type CpioEntry } from "../../plugins/customize/cpio.ts";
import { verifiedTree } from "../plugins/iso/media.ts";
import { mediumLists } from "./medium-lists.ts";

/** Which vendor's. */
export type Shape = "debian" | "ubuntu" | "el9" | "fedora";

/** Their labels. */
export const labels: Readonly<Record<Shape, string>> = {
  debian: "Debian 12.5.0 amd64 n",
  ubuntu: "Ubuntu-Server 24.04.2 LTS amd64",
  el9: "Rocky-9-5-x86_64-dvd",
  fedora: "Fedora-S-dvd-x86_64-42",
};

const quiet: { stdio: ["ignore", "ignore", "pipe"] } = { stdio: ["ignore", "ignore", "pipe"] };

/** Modules that see a disk or a CD behind AHCI, and read an ISO; a vendor's initial file system has them. */
const modules = /\/(ata\/(libata|libahci|ahci)|scsi\/(scsi_common|scsi_mod|sr_mod|sd_mod)|cdrom\/cdrom|isofs\/isofs|lib\/crc-t10dif|lib\/crc64|.*crct10dif_common|.*crc64_rocksoft|.*crc64-rocksoft|.*t10-pi)\.ko$/;

const look = `echo 1 > /proc/sys/kernel/printk
for module in ahci sd_mod sr_mod isofs; do modprobe $module 2>/dev/null; done
echo "RIG cmdline: $(cat /proc/cmdline)" > /dev/console
mkdir -p /rig
waited=0
while [ $waited -lt 60 ]; do
  for disk in /dev/sr0 /dev/sda; do
    [ -b $disk ] && mount -t iso9660 -o ro $disk /rig 2>/dev/null && break 2
  done
  sleep 1; waited=$((waited + 1))
done
for file in nocloud/user-data ks.cfg preseed.cfg imgtask/files.tar; do
  [ -f /rig/$file ] && echo "RIG file: $(sha256sum /rig/$file)" > /dev/console
done
umount /rig
echo "RIG done" > /dev/console
`;

/** The vendor's initial file system. */
function initrd(work: string): Buffer {
  const original = readFileSync(join(verifiedTree(), "initrd.gz"));
  const tree = join(work, "initrd");
  mkdirSync(tree);
  execFileSync("sh", ["-c", "gzip -dc | cpio --quiet -idm './lib/modules/*' 'lib/modules/*' 2>/dev/null || true"], { cwd: tree, input: original });
  const abi = readdirSync(join(tree, "lib/modules"))[0]!;
  execFileSync("apt-get", ["download", "-qq", `linux-image-${abi}`], { cwd: work, stdio: ["ignore", "ignore", "pipe"] });
  const deb = readdirSync(work).find((name) => name.startsWith("linux-image-"))!;
  execFileSync("dpkg-deb", ["-x", deb, "image"], { cwd: work });
  rmSync(join(work, deb));
  const from = join(work, "image/lib/modules", abi);
  const added = (readdirSync(from, { recursive: true }) as string[]).filter((path) => modules.test(`/${path}`));
  for (const path of added) {
    const to = join(tree, "lib/modules", abi, path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(from, path), to);
  }
  for (const name of ["modules.order", "modules.builtin"]) cpSync(join(from, name), join(tree, "lib/modules", abi, name));
  execFileSync("depmod", ["-b", tree, abi], quiet);
  const paths = [...added, ...readdirSync(join(tree, "lib/modules", abi)).filter((name) => name.startsWith("modules."))].map((path) => `lib/modules/${abi}/${path}`);
  const directories = new Set(["lib", "lib/debian-installer-startup.d"]);
  for (const path of paths) for (let one = dirname(path); one !== "."; one = dirname(one)) directories.add(one);
  const entries: CpioEntry[] = [
    ...[...directories].sort().map((path) => ({ path, mode: 0o755 })),
    ...paths.map((path) => ({ path, mode: 0o644, content: readFileSync(join(tree, path)) })),
    { path: "lib/debian-installer-startup.d/S29rig", mode: 0o755, content: Buffer.from(look) },
  ];
  rmSync(join(work, "image"), { recursive: true });
  rmSync(tree, { recursive: true });
  return Buffer.concat([original, Buffer.alloc((4 - (original.length % 4)) % 4), gzipSync(cpio(entries, 0))]);
}

/** GRUB for UEFI with modules and first commands, as the vendors' signed ones have them built in. */
function efiLoader(to: string, prefix: string, early: string): void {
  const config = `${to}.cfg`;
  writeFileSync(config, early);
  execFileSync("grub-mkimage", [
    "-O", "x86_64-efi", "-p", prefix, "-c", config, "-o", to, "part_gpt", "part_msdos", "iso9660", "fat", "search", "search_fs_file", "search_label", "normal",
    "linux", "linuxefi", "configfile", "terminal", "echo", "test", "boot", "serial", "efi_gop", "all_video", "gfxterm", "gzio", "ext2", "loadenv", "play", "font", "png", "true", "sleep", "halt", "reboot", "chain",
  ], quiet);
  rmSync(config);
}

function fat(image: string, kib: number, files: Readonly<Record<string, string>>): void {
  execFileSync("mkfs.vfat", ["-C", "-n", "ESP", "-i", "deb00001", "--invariant", image, String(kib)], quiet);
  const made = new Set<string>();
  for (const [path, from] of Object.entries(files)) {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, index) => {
      const directory = parts.slice(0, index + 1).join("/");
      if (!made.has(directory)) execFileSync("mmd", ["-i", image, `::${directory}`], quiet);
      made.add(directory);
    });
    execFileSync("mcopy", ["-i", image, from, `::${path}`], quiet);
  }
}

/** GRUB for BIOS as a boot image of a CD. */
function grubBios(to: string, prefix: string): void {
  execFileSync("grub-mkimage", ["-O", "i386-pc-eltorito", "-p", prefix, "-o", to, "biosdisk", "iso9660", "part_gpt", "part_msdos"], quiet);
}

const isolinuxFiles = ["/usr/lib/ISOLINUX/isolinux.bin", ...["ldlinux", "vesamenu", "libcom32", "libutil"].map((name) => `/usr/lib/syslinux/modules/bios/${name}.c32`)];

const debianMenus = {
  "isolinux/isolinux.cfg": "# D-I config version 2.0\n# search path for the c32 support libraries (libcom32, libutil etc.)\npath \nprompt 0\ntimeout 0\ninclude menu.cfg\ndefault vesamenu.c32\n",
  "isolinux/menu.cfg": "menu hshift 4\nmenu width 70\n\nmenu title Debian GNU/Linux installer menu (BIOS mode)\ninclude stdmenu.cfg\ninclude gtk.cfg\ninclude txt.cfg\nmenu begin advanced\n    menu label ^Advanced options\n\tmenu title Advanced options\n\tinclude stdmenu.cfg\n\tlabel mainmenu\n\t\tmenu label ^Back..\n\t\tmenu exit\n\tinclude adtxt.cfg\nmenu end\nlabel help\n\tmenu label ^Help\n\ttext help\n   Display help screens; type 'menu' at boot prompt to return to this menu\n\tendtext\n\tconfig prompt.cfg\ninclude spkgtk.cfg\n",
  "isolinux/stdmenu.cfg": "menu background splash.png\nmenu vshift 8\nmenu rows 12\nmenu tabmsg Press ENTER to boot or TAB to edit a menu entry\n",
  "isolinux/gtk.cfg": "label installgui\n\tmenu label ^Graphical install\n\tmenu default\n\tkernel /install.amd/vmlinuz\n\tappend vga=788 initrd=/install.amd/gtk/initrd.gz --- quiet \n",
  "isolinux/txt.cfg": "label install\n\tmenu label ^Install\n\tkernel /install.amd/vmlinuz\n\tappend vga=788 initrd=/install.amd/initrd.gz --- quiet \n",
  "isolinux/adtxt.cfg": "label expert\n\tmenu label E^xpert install\n\tkernel /install.amd/vmlinuz\n\tappend priority=low vga=788 initrd=/install.amd/initrd.gz --- \n",
  "isolinux/spkgtk.cfg": "# Begin speaking when nobody presses a key\nontimeout /install.amd/vmlinuz vga=788 initrd=/install.amd/gtk/initrd.gz speakup.synth=soft --- quiet \nmenu autoboot Press a key, otherwise speech synthesis will be started in # second{,s}...\ntimeout 300\n",
  "isolinux/prompt.cfg": "prompt 1\ndisplay f1.txt\ntimeout 0\ninclude menu.cfg\n",
  "boot/grub/grub.cfg": "if [ x$feature_default_font_path = xy ] ; then\n   font=unicode\nelse\n   font=$prefix/font.pf2\nfi\n\nif loadfont $font ; then\n  set gfxmode=800x600\n  set gfxpayload=keep\n  insmod efi_gop\n  insmod gfxterm\n  insmod png\n  terminal_output gfxterm\nfi\n\nif background_image /isolinux/splash.png; then\n  set color_normal=light-gray/black\nelse\n  set menu_color_normal=cyan/blue\nfi\n\ninsmod play\nplay 960 440 1 0 4 440 1\nset theme=/boot/grub/theme/1\nmenuentry --hotkey=g 'Graphical install' {\n    set background_color=black\n    linux    /install.amd/vmlinuz vga=788 --- quiet\n    initrd   /install.amd/gtk/initrd.gz\n}\nmenuentry --hotkey=i 'Install' {\n    set background_color=black\n    linux    /install.amd/vmlinuz vga=788 --- quiet\n    initrd   /install.amd/initrd.gz\n}\nsubmenu --hotkey=a 'Advanced options ...' {\n    set theme=/boot/grub/theme/1-1\n    menuentry '... Expert install' {\n        set background_color=black\n        linux    /install.amd/vmlinuz priority=low vga=788 ---\n        initrd   /install.amd/initrd.gz\n    }\n}\n",
} as const;

const ubuntuMenu = `set timeout=30

loadfont unicode

set menu_color_normal=white/black
set menu_color_highlight=black/light-gray

menuentry "Try or Install Ubuntu Server" {
	set gfxpayload=keep
	linux	/casper/vmlinuz  ---
	initrd	/casper/initrd
}
menuentry "Ubuntu Server with the HWE kernel" {
	set gfxpayload=keep
	linux	/casper/hwe-vmlinuz  ---
	initrd	/casper/hwe-initrd
}
grub_platform
if [ "$grub_platform" = "efi" ]; then
menuentry 'Boot from next volume' {
	exit 1
}
menuentry 'UEFI Firmware Settings' {
	fwsetup
}
else
menuentry 'Test memory' {
	linux16 /boot/memtest86+x64.bin
}
fi
`;

function anacondaGrub(label: string, efi: boolean): string {
  const suffix = efi ? "efi" : "";
  const entry = (title: string, more: string): string => `menuentry '${title}' --class fedora --class gnu-linux --class gnu --class os {\n\tlinux${suffix} /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=${label} ${more}quiet\n\tinitrd${suffix} /images/pxeboot/initrd.img\n}\n`;
  return `set default="1"\n\nfunction load_video {\n${efi ? "  insmod efi_gop\n" : ""}  insmod all_video\n}\n\nload_video\nset gfxpayload=keep\ninsmod gzio\ninsmod part_gpt\ninsmod ext2\n\nset timeout=60\n### END /etc/grub.d/00_header ###\n\nsearch --no-floppy --set=root -l '${label}'\n\n### BEGIN /etc/grub.d/10_linux ###\n${
    entry("Install Rocky Linux 9.5", "")
  }${entry("Test this media & install Rocky Linux 9.5", "rd.live.check ")}submenu 'Troubleshooting -->' {\n${entry("Rescue a Rocky Linux system", "inst.rescue ")}}\n`;
}

const anacondaIsolinux = (label: string): string => `default vesamenu.c32
timeout 600

display boot.msg

menu clear
menu background splash.png
menu title Rocky Linux 9.5
menu vshift 8
menu rows 18
menu tabmsg Press Tab for full configuration options on menu items.
menu separator # insert an empty line

label linux
  menu label ^Install Rocky Linux 9.5
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=${label} quiet

label check
  menu label Test this ^media & install Rocky Linux 9.5
  menu default
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=${label} rd.live.check quiet

menu begin ^Troubleshooting
  menu title Troubleshooting Rocky Linux 9.5
label rescue
  menu indent count 5
  menu label ^Rescue a Rocky Linux system
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=${label} inst.rescue quiet
menu end
`;

/** Options of xorriso's mkisofs emulation for the boot records. */
function records(shape: Shape, esp: string): readonly string[] {
  const isolinux = ["-isohybrid-mbr", "/usr/lib/ISOLINUX/isohdpfx.bin", "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-boot-load-size", "4", "-boot-info-table", "-no-emul-boot", "-eltorito-alt-boot"];
  const grub = (image: string, catalog: string): readonly string[] => ["--grub2-mbr", "/usr/lib/grub/i386-pc/boot_hybrid.img", "-partition_offset", "16", "-b", image, "-c", catalog, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"];
  const appended = ["-append_partition", "2", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", esp, "-appended_part_as_gpt", "-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"];
  switch (shape) {
    case "debian":
      return ["-J", "-joliet-long", ...isolinux, "-e", "boot/grub/efi.img", "-no-emul-boot", "-isohybrid-gpt-basdat", "-isohybrid-apm-hfsplus"];
    case "ubuntu":
      return ["--protective-msdos-label", "--mbr-force-bootable", "-iso_mbr_part_type", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", ...grub("boot/grub/i386-pc/eltorito.img", "boot.catalog"), ...appended];
    case "el9":
      return ["-J", ...isolinux, "-e", "images/efiboot.img", "-no-emul-boot", "-isohybrid-gpt-basdat"];
    case "fedora":
      return ["-J", ...grub("images/eltorito.img", "boot.cat"), ...appended];
  }
}

function md5sums(tree: string): string {
  return (readdirSync(tree, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(tree.length))
    .filter((path) => !path.startsWith("/.disk") && !/isolinux\.bin$|eltorito\.img$/.test(path)).sort()
    .map((path) => `${createHash("md5").update(readFileSync(join(tree, path))).digest("hex")}  .${path}\n`).join("");
}

/** Makes them, with one kernel and initial file system for all. */
export class VendorIsos {
  readonly #directory: string;
  readonly #initrd: string;

  /** @param directory an empty one, which somebody else removes. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#initrd = join(directory, "initrd.gz");
    const work = join(directory, "work");
    mkdirSync(work);
    writeFileSync(this.#initrd, initrd(work));
  }

  /** Path of an ISO of a vendor's shape. */
  iso(shape: Shape, options: { readonly initrd?: string } = {}): string {
    const out = join(this.#directory, `${shape}.iso`);
    if (existsSync(out)) return out;
    const tree = join(this.#directory, shape), label = labels[shape];
    const path = (name: string): string => {
      mkdirSync(dirname(join(tree, name)), { recursive: true });
      return join(tree, name);
    };
    const write = (name: string, text: string | Uint8Array): void => writeFileSync(path(name), text);
    const kernel = join(verifiedTree(), "linux"), ram = options.initrd ?? this.#initrd;
    const esp = join(this.#directory, `${shape}-esp.img`), loader = join(this.#directory, `${shape}.efi`), extra = join(this.#directory, `${shape}-grub.cfg`);
    if (shape === "debian" || shape === "ubuntu") write(".disk/info", shape === "debian" ? 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST\n' : 'Ubuntu-Server 24.04.2 LTS "Noble Numbat" - Release amd64\n');
    if (shape === "debian") {
      copyFileSync(kernel, path("install.amd/vmlinuz"));
      copyFileSync(ram, path("install.amd/initrd.gz"));
      write("install.amd/gtk/initrd.gz", "the graphical one");
      for (const [name, text] of Object.entries(debianMenus)) write(name, text);
      for (const file of isolinuxFiles) copyFileSync(file, path(`isolinux/${file.split("/").at(-1)!}`));
      write("boot/grub/x86_64-efi/grub.cfg", "source /boot/grub/grub.cfg\n");
      writeFileSync(extra, "search --file --set=root /.disk/info\nset prefix=($root)/boot/grub\nsource $prefix/x86_64-efi/grub.cfg\n");
      efiLoader(loader, "/EFI/debian", "");
      fat(esp, 6144, { "EFI/boot/bootx64.efi": loader, "EFI/debian/grub.cfg": extra });
      copyFileSync(esp, path("boot/grub/efi.img"));
      // Beside it in the tree, as on the media: from a CD, GRUB's own device is the CD and not the image in it.
      copyFileSync(loader, path("EFI/boot/bootx64.efi"));
      copyFileSync(extra, path("EFI/debian/grub.cfg"));
      write("pool/main/b/base/base_1_all.deb", "a package\n");
    } else if (shape === "ubuntu") {
      for (const name of ["", "hwe-"]) {
        if (name === "") copyFileSync(kernel, path("casper/vmlinuz"));
        else write("casper/hwe-vmlinuz", "another kernel");
        if (name === "") copyFileSync(ram, path("casper/initrd"));
        else write("casper/hwe-initrd", "another initrd");
      }
      write("casper/ubuntu-server-minimal.squashfs", Buffer.alloc(200_000, 7));
      write("boot/grub/grub.cfg", ubuntuMenu);
      write("boot/grub/loopback.cfg", `menuentry "Try or Install Ubuntu Server" {\n\tset gfxpayload=keep\n\tlinux\t/casper/vmlinuz  iso-scan/filename=\${iso_path} ---\n\tinitrd\t/casper/initrd\n}\n`);
      grubBios(path("boot/grub/i386-pc/eltorito.img"), "/boot/grub");
      cpSync("/usr/lib/grub/i386-pc", path("boot/grub/i386-pc"), { recursive: true, filter: (one) => !/\.(img|module)$/.test(one) });
      efiLoader(loader, "/boot/grub", "search --file --set=root /.disk/info\nset prefix=($root)/boot/grub\n");
      fat(esp, 5020, { "EFI/boot/bootx64.efi": loader });
    } else {
      copyFileSync(kernel, path("images/pxeboot/vmlinuz"));
      copyFileSync(ram, path("images/pxeboot/initrd.img"));
      write("images/install.img", Buffer.alloc(200_000, 9));
      write(".discinfo", "1731600000.0\n9.5\nx86_64\n");
      const grub = anacondaGrub(label, true);
      write("EFI/BOOT/grub.cfg", grub);
      writeFileSync(extra, grub);
      efiLoader(loader, "/EFI/BOOT", "");
      copyFileSync(loader, path("EFI/BOOT/BOOTX64.EFI"));
      fat(esp, 7168, { "EFI/BOOT/BOOTX64.EFI": loader, "EFI/BOOT/grub.cfg": extra, "EFI/BOOT/BOOT.conf": extra });
      copyFileSync(esp, path("images/efiboot.img"));
      if (shape === "el9") {
        for (const file of isolinuxFiles) copyFileSync(file, path(`isolinux/${file.split("/").at(-1)!}`));
        copyFileSync(kernel, path("isolinux/vmlinuz"));
        copyFileSync(ram, path("isolinux/initrd.img"));
        write("isolinux/boot.msg", "\n");
        write("isolinux/isolinux.cfg", anacondaIsolinux(label));
      } else {
        write("boot/grub2/grub.cfg", anacondaGrub(label, false));
        grubBios(path("images/eltorito.img"), "/boot/grub2");
        cpSync("/usr/lib/grub/i386-pc", path("boot/grub2/i386-pc"), { recursive: true, filter: (one) => !/\.(img|module)$/.test(one) });
      }
      const digest = (name: string): string => createHash("sha256").update(readFileSync(join(tree, name))).digest("hex");
      const sums = ["images/efiboot.img", "images/install.img", "images/pxeboot/initrd.img", "images/pxeboot/vmlinuz"].map((name) => `${name} = sha256:${digest(name)}\n`).join("");
      write(".treeinfo", `[checksums]\n${sums}\n[general]\narch = x86_64\nfamily = Rocky Linux\nname = Rocky Linux 9.5\nplatforms = x86_64,xen\nversion = 9.5\n\n[stage2]\nmainimage = images/install.img\n`);
    }
    for (const [file, content] of Object.entries(mediumLists(shape))) write(file, content);
    if (shape === "debian" || shape === "ubuntu") write("md5sum.txt", md5sums(tree));
    execFileSync("xorriso", ["-no_rc", "-as", "mkisofs", "-quiet", "-r", "-iso-level", "3", "-V", label, ...records(shape, esp), "-o", out, tree], { stdio: ["ignore", "ignore", "pipe"] });
    if (shape === "el9" || shape === "fedora") execFileSync("implantisomd5", ["--force", out], quiet);
    rmSync(tree, { recursive: true });
    return out;
  }
}
