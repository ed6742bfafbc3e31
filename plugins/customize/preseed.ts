/**
 * Answers for Debian's installer: a machine description as a preseed file.
 * A list of questions and answers, escaped as debconf-set-selections reads them; knows nothing of media and images.
 * @module
 */
import { ExitCode, type FullFileSystem, ImgtaskError, type InstalledMachine, packagesFor } from "../../lib/mod.ts";
import { keyboardPackages } from "../machine/keyboard.ts";
import { type AnswerContext, type Answers, cannot, plainUrl } from "./answers.ts";
import { latePackages } from "./payload.ts";

/** What preseed answers depend on beside the machine. */
export interface PreseedContext extends AnswerContext {
  /** `http:` or `https:` address of the archive to install from, as `http://host/debian`. */
  readonly mirror: string;
}

/** One answer. */
interface Answer {
  /** Whose question it is: the installer's, or that of a package on the installed system. @default "d-i" */
  readonly owner?: string;
  readonly question: string;
  readonly type: "string" | "boolean" | "select" | "multiselect" | "password" | "note";
  readonly value: string;
}

/** Layouts of the console that the installer knows, from the template `keyboard-configuration/xkb-keymap`. */
const keymaps: ReadonlySet<string> = new Set(
  ("al ara ba bd be bg br bt by ca ch cn cz de dk ee epo es et fi ge gb gr hr hu ie il in ir is it jp kg kh kz la latam lk lt lv " +
    "mk mm nl no np ph pl pt ro rs ru se si sk th tj tr ua us vn").split(" "),
);

const format = "A preseed file";

/** An answer's value as the format takes it: the rest of a line, which a backslash would continue. */
function escaped(question: string, value: string): string {
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value) || value.endsWith("\\") || value.trim() !== value) {
    throw new ImgtaskError("IMG2313", `Bad answer to "${question}": ${JSON.stringify(value)}`, {
      expected: "one line, without control characters, white space around it, and a backslash at its end",
      exitCode: ExitCode.usage,
    });
  }
  return value;
}

function render(answers: readonly Answer[]): string {
  return answers.map(({ owner = "d-i", question, type, value }) => `${owner} ${question} ${type} ${escaped(question, value)}`.trimEnd() + "\n").join("");
}

const string = (question: string, value: string): Answer => ({ question, type: "string", value });
const select = (question: string, value: string): Answer => ({ question, type: "select", value });
const boolean = (question: string, value: boolean): Answer => ({ question, type: "boolean", value: String(value) });

function language({ locale, keyboard }: InstalledMachine): Answer[] {
  // The installer has no answer for the C locale without asking for a country: it runs in English, and the payload
  // sets the machine's own locale at the end.
  const neutral = /^(C|POSIX)(\.UTF-8)?$/.test(locale);
  if (!neutral && !/^[a-z]{2,3}_[A-Z]{2}\.UTF-8(@[a-z]+)?$/.test(locale)) {
    cannot(format, "locale", `"C.UTF-8", or language, country and UTF-8 as in "de_DE.UTF-8"`, locale);
  }
  if (!keymaps.has(keyboard)) cannot(format, "keyboard", `one of ${[...keymaps].join(", ")}`, keyboard);
  const installed = neutral ? "en_US.UTF-8" : locale;
  return [
    // What the installer itself speaks. On a serial console it knows nothing but English, and of a locale in another
    // language it would ask what to do (localechooser, do_preseed); with the three apart it asks nothing.
    string("debian-installer/language", "en"),
    string("debian-installer/country", /_([A-Z]{2})/.exec(installed)![1]!),
    string("debian-installer/locale", installed),
    select("keyboard-configuration/xkb-keymap", keyboard),
    boolean("console-setup/ask_detect", false),
  ];
}

/** Dotted mask of a network's length. */
function netmask(length: number): string {
  return [0, 1, 2, 3].map((index) => 256 - 2 ** (8 - Math.min(8, Math.max(0, length - 8 * index)))).join(".");
}

/** Answers for an installation over an address of its own; what the machine keeps is in the payload. */
function fixedAddress({ network: how }: InstalledMachine): Answer[] {
  // Name servers come with the address; on a network that has none, the installer would ask for them.
  if (typeof how === "string" || how.some(({ dhcp }) => dhcp)) return [select("netcfg/choose_interface", "auto"), string("netcfg/get_nameservers", "")];
  const over = how.find(({ addresses, gateway }) => gateway !== undefined && addresses.some((one) => !one.includes(":")));
  if (over === undefined) cannot(format, "network", "an interface with DHCP, or with an IPv4 address and a gateway, to install over", how);
  const [address, length] = over.addresses.find((one) => !one.includes(":"))!.split("/");
  return [
    select("netcfg/choose_interface", over.name),
    boolean("netcfg/disable_autoconfig", true),
    string("netcfg/get_ipaddress", address!),
    string("netcfg/get_netmask", netmask(Number(length))),
    string("netcfg/get_gateway", over.gateway!),
    string("netcfg/get_nameservers", over.dns.filter((one) => !one.includes(":")).join(" ")),
    boolean("netcfg/confirm_static", true),
  ];
}

function network(machine: InstalledMachine): Answer[] {
  const { hostname, network: how } = machine;
  return [
    boolean("netcfg/enable", true),
    ...fixedAddress(machine),
    string("netcfg/dhcp_timeout", "60"),
    string("netcfg/get_hostname", hostname),
    string("netcfg/hostname", hostname),
    string("netcfg/get_domain", ""),
    // The installer itself always needs the network; this is what it leaves behind. Interfaces by name are networkd's.
    select("netcfg/target_network_config", how === "dhcp" ? "ifupdown" : "loopback"),
    boolean("hw-detect/load_firmware", true),
  ];
}

function mirror({ mirror: address, release }: PreseedContext): Answer[] {
  const url = plainUrl(format, "mirror", address);
  const protocol = url.protocol.slice(0, -1);
  return [
    select("mirror/protocol", protocol),
    string("mirror/country", "manual"),
    string(`mirror/${protocol}/hostname`, url.host),
    string(`mirror/${protocol}/directory`, url.pathname.replace(/(?<=.)\/$/, "")),
    string(`mirror/${protocol}/proxy`, ""),
    select("mirror/suite", release),
  ];
}

function accounts({ users }: InstalledMachine): Answer[] {
  // No hash of anything. Not "!": Debian 13 takes that for no answer, and asks.
  const locked = (question: string): Answer => ({ question, type: "password", value: "*" });
  const first = users[0];
  return [
    // With "false" the installer would put the first user into the group sudo: root exists, but nobody can log in.
    boolean("passwd/root-login", true),
    locked("passwd/root-password-crypted"),
    boolean("passwd/make-user", first !== undefined),
    ...(first === undefined ? [] : [
      string("passwd/user-fullname", first.fullName === "" ? first.name : first.fullName),
      string("passwd/username", first.name),
      ...(first.uid === undefined ? [] : [string("passwd/user-uid", String(first.uid))]),
      string("passwd/user-default-groups", ""),
      locked("passwd/user-password-crypted"),
    ]),
  ];
}

/** Names of file systems as partman's, and how it handles them. */
const methods: Readonly<Record<FullFileSystem["type"], string>> = {
  ext4: "method{ format } format{ } use_filesystem{ } filesystem{ ext4 }",
  xfs: "method{ format } format{ } use_filesystem{ } filesystem{ xfs }",
  btrfs: "method{ format } format{ } use_filesystem{ } filesystem{ btrfs }",
  swap: "method{ swap } format{ }",
};

/** One line of a recipe: least size, priority and greatest size in MB, kind, and what is done with it. */
function recipeLine({ mount, size, type }: FullFileSystem, more = ""): string {
  const sizes = size === "rest" ? "1024 1000000 -1" : [0, 1, 0].map((grows) => (grows === 1 ? 1 : Math.ceil(size * 2 ** 20 / 1e6))).join(" ");
  return `${sizes} ${type === "swap" ? "linux-swap" : type} ${more}${methods[type]}${type === "swap" ? "" : ` mountpoint{ ${mount} }`} .`;
}

/** The division of a disk. Format: partman-auto-recipe.txt of debian-installer. */
function recipe({ partitions, lvm }: NonNullable<InstalledMachine["storage"]>): Answer[] {
  const lines = [
    "1 1 1 free $iflabel{ gpt } $reusemethod{ } method{ biosgrub } .",
    "538 538 538 free $iflabel{ gpt } $reusemethod{ } method{ efi } format{ } .",
    ...partitions.map((one) => recipeLine(one, lvm === undefined ? "" : "$defaultignore{ } $primary{ } ")),
    ...(lvm === undefined ? [] : [`1024 1000000 -1 ext4 $defaultignore{ } $primary{ } method{ lvm } vg_name{ ${lvm.group} } .`]),
    ...(lvm?.volumes ?? []).map((one) => recipeLine(one, `$lvmok{ } in_vg{ ${lvm!.group} } lv_name{ ${one.name} } `)),
  ];
  return [
    string("partman-auto/method", lvm === undefined ? "regular" : "lvm"),
    ...(lvm === undefined ? [] : [
      string("partman-auto-lvm/new_vg_name", lvm.group),
      string("partman-auto-lvm/guided_size", "max"),
      boolean("partman-lvm/confirm", true),
      boolean("partman-lvm/confirm_nooverwrite", true),
    ]),
    string("partman-partitioning/default_label", "gpt"),
    select("partman-partitioning/choose_label", "gpt"),
    string("partman-auto/expert_recipe", `imgtask :: ${lines.join(" ")}`),
    select("partman-auto/choose_recipe", "imgtask"),
    boolean("partman-basicfilesystems/no_swap", false),
  ];
}

/** The disk to install on. */
function diskOf({ storage }: InstalledMachine, { disk }: PreseedContext): string | undefined {
  if (disk !== undefined && !/^\/dev\/[A-Za-z0-9._:/-]+$/.test(disk)) cannot(format, "disk", `a device such as "/dev/vda"`, disk);
  return disk ?? storage?.disk;
}

function storage(machine: InstalledMachine, context: PreseedContext): Answer[] {
  const disk = diskOf(machine, context);
  return [
    ...(disk === undefined ? [] : [string("partman-auto/disk", disk)]),
    ...(machine.storage === undefined ? [string("partman-auto/method", "regular"), select("partman-auto/choose_recipe", "atomic")] : recipe(machine.storage)),
    // What an earlier installation left on the disk must not ask.
    boolean("partman-lvm/device_remove_lvm", true),
    boolean("partman-md/device_remove_md", true),
    boolean("partman-efi/non_efi_system", machine.storage?.firmware !== "bios"),
    boolean("partman-partitioning/confirm_write_new_label", true),
    select("partman/choose_partition", "finish"),
    boolean("partman/confirm", true),
    boolean("partman/confirm_nooverwrite", true),
  ];
}

/** Names of the packages to install, with those that parts of the machine need. */
export function preseedPackages(machine: InstalledMachine): readonly string[] {
  const { users, firewall, passwordPolicy, network: how, apparmor } = machine;
  const needed = [
    ...(users.some(({ sudo }) => sudo !== "none") ? ["sudo"] : []),
    ...(firewall === undefined ? [] : ["nftables"]),
    ...(passwordPolicy === undefined ? [] : ["libpam-pwquality"]),
    // The installer brings them itself, but not where it is used over a serial console.
    ...keyboardPackages(machine),
    ...(apparmor === "enabled" ? ["apparmor"] : []),
    ...(typeof how !== "string" && how.some(({ dns, dhcp }) => dhcp || dns.length > 0) ? ["systemd-resolved"] : []),
  ];
  return [...new Set([...packagesFor(machine, "apt"), ...needed])];
}

function software(machine: InstalledMachine): Answer[] {
  return [
    boolean("pkgsel/run_tasksel", false),
    string("pkgsel/include", latePackages(machine, preseedPackages(machine)).now.join(" ")),
    select("pkgsel/upgrade", "safe-upgrade"),
    select("pkgsel/update-policy", "none"),
    { owner: "popularity-contest", question: "popularity-contest/participate", type: "boolean", value: "false" },
  ];
}

function bootLoader(disk: string | undefined): Answer[] {
  return [
    boolean("grub-installer/only_debian", true),
    boolean("grub-installer/with_other_os", true),
    string("grub-installer/bootdev", disk ?? "default"),
    // Virtual machines often come without the variables that remember a boot entry.
    boolean("grub-installer/force-efi-extra-removable", true),
  ];
}

/** What the installers that read this format install has no SELinux of its own, and repositories of one kind. */
function refuseOthers({ selinux, repositories }: InstalledMachine): void {
  if (selinux !== undefined) cannot(format, "selinux", "no SELinux: the systems installed this way come with AppArmor", selinux);
  const other = repositories.find(({ type }) => type !== "apt");
  if (other !== undefined) cannot(format, `repositories "${other.name}"`, `repositories of type "apt"`, other.type);
}

/**
 * The preseed file of a machine: `preseed.cfg`.
 *
 * It installs on the whole disk without a question, over the network from `mirror`. DHCP is set up on the interface
 * that the installation went over. Files, keys, passwords, services, directories and all else that the installer has
 * no question for are not in it: `preseed/late_command` applies the payload that lies beside it.
 *
 * @throws {ImgtaskError} IMG2312 for what this format cannot express, IMG2313 for a value that is no single line.
 *
 * @example
 * ```ts
 * preseed(machine({ hostname: "lab" }), { release: "bookworm", mirror: "http://mirror.example.org/debian", payload: "/imgtask" });
 * ```
 */
export function preseed(machine: InstalledMachine, context: PreseedContext): Answers {
  const reboot = context.afterwards === "reboot";
  refuseOthers(machine);
  if (!/^(\/[A-Za-z0-9._-]+)+$/.test(context.payload)) cannot(format, "payload", "an absolute path", context.payload);
  const text = render([
    string("preseed/early_command", "echo IMGTASK_PRESEED_READ > /dev/console"),
    ...language(machine),
    ...network(machine),
    ...mirror(context),
    ...accounts(machine),
    boolean("clock-setup/utc", true),
    boolean("clock-setup/ntp", true),
    string("time/zone", machine.timezone),
    ...storage(machine, context),
    ...software(machine),
    ...bootLoader(diskOf(machine, context)),
    string("preseed/late_command", `sh ${context.payload}/late`),
    { question: "finish-install/reboot_in_progress", type: "note", value: "" },
    boolean("debian-installer/exit/halt", false),
    boolean("debian-installer/exit/poweroff", !reboot),
  ]);
  return { files: { "preseed.cfg": text } };
}
