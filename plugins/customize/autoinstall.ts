/**
 * Answers for Ubuntu's server installer (subiquity): a machine description as autoinstall user-data.
 * Structures that are written as YAML; knows nothing of media and images.
 *
 * Format: "Autoinstall configuration reference manual" of Ubuntu's installation documentation; storage actions as of
 * curtin.
 * @module
 */
import { type FullFileSystem, type InstalledMachine, packagesFor } from "../../lib/mod.ts";
import { type AnswerContext, type Answers, cannot, plainUrl } from "./answers.ts";
import { netplan } from "./netplan.ts";
import { latePackages } from "./payload.ts";
import { type Yaml, yaml } from "./yaml.ts";

const format = "Autoinstall user-data";

const mebibyte = 2 ** 20;
/** Of the EFI system partition, in MiB. */
const espSize = 1024;

/** A file system, and where it is mounted, on a device made before. */
function formatted(id: string, volume: string, { mount, type }: FullFileSystem): Yaml[] {
  return [
    { type: "format", id: `format-${id}`, volume, fstype: type, preserve: false },
    { type: "mount", id: `mount-${id}`, device: `format-${id}`, path: mount === "swap" ? "" : mount },
  ];
}

const bytes = (size: number | "rest"): number => (size === "rest" ? -1 : size * mebibyte);

/** Curtin's actions for a division: each names what it stands on. */
function actions({ firmware, partitions, lvm }: NonNullable<InstalledMachine["storage"]>, disk: string | undefined): Yaml[] {
  if (firmware === "any") cannot(format, "storage.firmware", `"bios" or "uefi": with a layout of its own it has to be told`, firmware);
  const uefi = firmware === "uefi";
  let number = 0;
  const part = (id: string, size: number, more: Readonly<Record<string, Yaml>> = {}): Yaml => ({
    type: "partition", id, device: "disk", number: ++number, size, wipe: "superblock", preserve: false, ...more,
  });
  const esp = { type: "esp", mount: "/boot/efi" };
  return [
    {
      type: "disk", id: "disk", ptable: "gpt", wipe: "superblock-recursive", preserve: false, grub_device: !uefi,
      ...(disk === undefined ? { match: { size: "largest" } } : { path: disk }),
    },
    ...(uefi
      ? [
        part(esp.type, espSize * mebibyte, { flag: "boot", grub_device: true }),
        { type: "format", id: "format-esp", volume: "esp", fstype: "fat32", preserve: false },
        { type: "mount", id: "mount-esp", device: "format-esp", path: esp.mount },
      ]
      : [part("bios-boot", mebibyte, { flag: "bios_grub" })]),
    ...partitions.flatMap((one, index) => [part(`part-${index}`, bytes(one.size), one.type === "swap" ? { flag: "swap" } : {}), ...formatted(`part-${index}`, `part-${index}`, one)]),
    ...(lvm === undefined ? [] : [
      part("pv", -1),
      { type: "lvm_volgroup", id: "group", name: lvm.group, devices: ["pv"], preserve: false },
      ...lvm.volumes.flatMap((one) => [
        { type: "lvm_partition", id: `lv-${one.name}`, volgroup: "group", name: one.name, size: bytes(one.size), wipe: "superblock", preserve: false },
        ...formatted(`lv-${one.name}`, `lv-${one.name}`, one),
      ]),
    ]),
  ];
}

function storage({ storage: how }: InstalledMachine, { disk: asked }: AnswerContext): Yaml {
  const disk = asked ?? how?.disk;
  if (how === undefined) return { layout: { name: "direct", match: disk === undefined ? { size: "largest" } : { path: disk } }, swap: { size: 0 } };
  const swap = [...how.partitions, ...(how.lvm?.volumes ?? [])].some(({ type }) => type === "swap");
  // Without it a swap file would be made beside the partitions.
  return { config: actions(how, disk), ...(swap ? {} : { swap: { size: 0 } }) };
}

/** Names of the packages to install, with those that parts of the machine need. */
export function autoinstallPackages(machine: InstalledMachine): readonly string[] {
  const needed = [
    ...(machine.users.some(({ sudo }) => sudo !== "none") ? ["sudo"] : []),
    ...(machine.firewall === undefined ? [] : ["ufw"]),
    ...(machine.passwordPolicy === undefined ? [] : ["libpam-pwquality"]),
    ...(machine.apparmor === "enabled" ? ["apparmor"] : []),
  ];
  return [...new Set([...packagesFor(machine, "apt"), ...needed])];
}

/** What the installer that reads this format installs has no SELinux of its own, and repositories of one kind. */
function refuseOthers({ selinux, repositories, locale }: InstalledMachine): void {
  if (selinux !== undefined) cannot(format, "selinux", "no SELinux: the systems installed this way come with AppArmor", selinux);
  const other = repositories.find(({ type }) => type !== "apt");
  if (other !== undefined) cannot(format, `repositories "${other.name}"`, `repositories of type "apt"`, other.type);
  if (/^(C|POSIX)$/.test(locale)) cannot(format, "locale", `"C.UTF-8", or a locale with a language`, locale);
}

/**
 * The autoinstall files of a machine: `user-data` and an empty `meta-data`, as cloud-init's NoCloud source reads them
 * in the installer.
 *
 * It installs on the whole disk without a question, from the medium, with packages from `mirror` or the archive's
 * default one. Accounts, passwords, keys, files, repositories, services, firewall, directories and late commands are
 * not in it: `late-commands` apply the payload, which the installer finds at `context.payload`.
 *
 * @throws {ImgtaskError} IMG2312 for what this format cannot express.
 *
 * @example
 * ```ts
 * autoinstall(machine({ hostname: "lab" }), { release: "noble", payload: "/cdrom/imgtask" });
 * ```
 */
export function autoinstall(machine: InstalledMachine, context: AnswerContext): Answers {
  refuseOthers(machine);
  const packages = latePackages(machine, autoinstallPackages(machine)).now;
  const ssh = machine.packages.includes("openssh-server") || packages.includes("openssh-server");
  const target = "/target/var/tmp/imgtask";
  const config: Yaml = {
    version: 1,
    "early-commands": [["sh", "-c", "echo IMGTASK_AUTOINSTALL_READ > /dev/console"]],
    // Its questions about the installer itself: none is asked, and nothing is fetched to replace it.
    "interactive-sections": [],
    "refresh-installer": { update: false },
    locale: machine.locale,
    keyboard: { layout: machine.keyboard },
    timezone: machine.timezone,
    network: netplan(machine.network),
    ...(context.mirror === undefined ? {} : { apt: { "mirror-selection": { primary: [{ uri: plainUrl(format, "mirror", context.mirror).href.replace(/\/$/, "") }] }, fallback: "abort" } }),
    storage: storage(machine, context),
    ssh: { "install-server": ssh, "allow-pw": machine.passwordLogin },
    ...(packages.length === 0 ? {} : { packages }),
    // Instead of "identity": accounts are made by the payload, with what an identity cannot say.
    "user-data": { hostname: machine.hostname, preserve_hostname: false, manage_etc_hosts: "localhost", users: [{ name: "root", lock_passwd: true }], disable_root: true, ssh_pwauth: machine.passwordLogin },
    "late-commands": [
      ["mkdir", "-p", "-m", "0700", target],
      ["cp", "-rT", context.payload, target],
      ["curtin", "in-target", "--target=/target", "--", "sh", "/var/tmp/imgtask/apply"],
      ["rm", "-rf", target],
      ["sh", "-c", "echo IMGTASK_LATE_DONE > /dev/console"],
    ],
    shutdown: context.afterwards ?? "poweroff",
  };
  return { files: { "user-data": `#cloud-config\n${yaml({ autoinstall: config })}`, "meta-data": "" } };
}
