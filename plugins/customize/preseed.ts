/**
 * Answers for Debian's installer: a machine description as a preseed file.
 * A list of questions and answers, escaped as debconf-set-selections reads them; knows nothing of media and images.
 * @module
 */
import { ExitCode, ImgtaskError, type Machine } from "../../lib/mod.ts";
import { payloadDirectory } from "./payload.ts";

/** What answers depend on beside the machine. */
export interface PreseedContext {
  /** Code name to install: `"bookworm"`. */
  readonly release: string;
  /** `http:` or `https:` address of the archive to install from, as `http://host/debian`. */
  readonly mirror: string;
  /** Disk to install on, as `/dev/vda`; all that is on it is lost. @default the only one; with several, the installer asks */
  readonly disk?: string;
  /** What comes after the installation. @default "poweroff" */
  readonly afterwards?: "poweroff" | "reboot";
}

/** What the machine description may hold for this format; the rest of it needs no answers. */
export type PreseedMachine =
  & Pick<Machine, "hostname" | "locale" | "timezone" | "keyboard" | "packages" | "network">
  & { readonly users: readonly Pick<Machine["users"][number], "name" | "uid" | "sudo">[] };

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

function cannot(what: string, expected: string, found: string): never {
  throw new ImgtaskError("IMG2312", `A preseed file cannot express this ${what}`, {
    expected,
    found: JSON.stringify(found),
    exitCode: ExitCode.usage,
  });
}

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

function language({ locale, keyboard }: PreseedMachine): Answer[] {
  // The installer has no answer for the C locale without asking for a country: it runs in English, and the payload
  // sets the machine's own locale at the end.
  const neutral = /^(C|POSIX)(\.UTF-8)?$/.test(locale);
  if (!neutral && !/^[a-z]{2,3}_[A-Z]{2}\.UTF-8(@[a-z]+)?$/.test(locale)) {
    cannot("locale", `"C.UTF-8", or language, country and UTF-8 as in "de_DE.UTF-8"`, locale);
  }
  if (!keymaps.has(keyboard)) cannot("keyboard layout", `one of ${[...keymaps].join(", ")}`, keyboard);
  return [
    string("debian-installer/locale", neutral ? "en_US.UTF-8" : locale),
    select("keyboard-configuration/xkb-keymap", keyboard),
    boolean("console-setup/ask_detect", false),
  ];
}

function network({ hostname, network: how }: PreseedMachine): Answer[] {
  return [
    boolean("netcfg/enable", true),
    select("netcfg/choose_interface", "auto"),
    string("netcfg/dhcp_timeout", "60"),
    string("netcfg/get_hostname", hostname),
    string("netcfg/hostname", hostname),
    string("netcfg/get_domain", ""),
    // The installer itself always needs the network; this is what it leaves behind.
    select("netcfg/target_network_config", how === "dhcp" ? "ifupdown" : "loopback"),
    boolean("hw-detect/load_firmware", true),
  ];
}

function mirror({ mirror: address, release }: PreseedContext): Answer[] {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const protocol = url?.protocol.slice(0, -1);
  if (url === undefined || (protocol !== "http" && protocol !== "https") || url.search !== "" || url.hash !== "" || url.username !== "") {
    return cannot("mirror", "an http: or https: address without credentials, query and fragment", address);
  }
  return [
    select("mirror/protocol", protocol),
    string("mirror/country", "manual"),
    string(`mirror/${protocol}/hostname`, url.host),
    string(`mirror/${protocol}/directory`, url.pathname.replace(/(?<=.)\/$/, "")),
    string(`mirror/${protocol}/proxy`, ""),
    select("mirror/suite", release),
  ];
}

function accounts({ users }: PreseedMachine): Answer[] {
  const locked = (question: string): Answer => ({ question, type: "password", value: "!" });
  const first = users[0];
  return [
    // With "false" the installer would put the first user into the group sudo: root exists, but nobody can log in.
    boolean("passwd/root-login", true),
    locked("passwd/root-password-crypted"),
    boolean("passwd/make-user", first !== undefined),
    ...(first === undefined ? [] : [
      string("passwd/user-fullname", first.name),
      string("passwd/username", first.name),
      ...(first.uid === undefined ? [] : [string("passwd/user-uid", String(first.uid))]),
      string("passwd/user-default-groups", ""),
      locked("passwd/user-password-crypted"),
    ]),
  ];
}

function storage({ disk }: PreseedContext): Answer[] {
  if (disk !== undefined && !/^\/dev\/[A-Za-z0-9._:/-]+$/.test(disk)) cannot("disk", `a device such as "/dev/vda"`, disk);
  return [
    ...(disk === undefined ? [] : [string("partman-auto/disk", disk)]),
    string("partman-auto/method", "regular"),
    select("partman-auto/choose_recipe", "atomic"),
    // What an earlier installation left on the disk must not ask.
    boolean("partman-lvm/device_remove_lvm", true),
    boolean("partman-md/device_remove_md", true),
    boolean("partman-efi/non_efi_system", true),
    boolean("partman-partitioning/confirm_write_new_label", true),
    select("partman/choose_partition", "finish"),
    boolean("partman/confirm", true),
    boolean("partman/confirm_nooverwrite", true),
  ];
}

function software({ packages, users }: PreseedMachine): Answer[] {
  const wanted = [...packages, ...(users.some(({ sudo }) => sudo === "nopasswd") ? ["sudo"] : [])];
  return [
    boolean("pkgsel/run_tasksel", false),
    string("pkgsel/include", [...new Set(wanted)].join(" ")),
    select("pkgsel/upgrade", "safe-upgrade"),
    select("pkgsel/update-policy", "none"),
    { owner: "popularity-contest", question: "popularity-contest/participate", type: "boolean", value: "false" },
  ];
}

function bootLoader({ disk }: PreseedContext): Answer[] {
  return [
    boolean("grub-installer/only_debian", true),
    boolean("grub-installer/with_other_os", true),
    string("grub-installer/bootdev", disk ?? "default"),
    // Virtual machines often come without the variables that remember a boot entry.
    boolean("grub-installer/force-efi-extra-removable", true),
  ];
}

/**
 * The preseed file of a machine.
 *
 * It installs on the whole disk without a question, over the network from `mirror`. Passwords are locked: people come
 * in by key. DHCP is set up on the interface that the installation went over. Files, keys, services and directories
 * are not in it: `preseed/late_command` applies the payload that lies beside it.
 *
 * @throws {ImgtaskError} IMG2312 for what this format cannot express, IMG2313 for a value that is no single line.
 *
 * @example
 * ```ts
 * preseed(machine({ hostname: "lab" }), { release: "bookworm", mirror: "http://mirror.example.org/debian" });
 * ```
 */
export function preseed(machine: PreseedMachine, context: PreseedContext): string {
  const reboot = context.afterwards === "reboot";
  return render([
    string("preseed/early_command", "echo IMGTASK_PRESEED_READ > /dev/console"),
    ...language(machine),
    ...network(machine),
    ...mirror(context),
    ...accounts(machine),
    boolean("clock-setup/utc", true),
    boolean("clock-setup/ntp", true),
    string("time/zone", machine.timezone),
    ...storage(context),
    ...software(machine),
    ...bootLoader(context),
    string("preseed/late_command", `sh /${payloadDirectory}/late`),
    { question: "finish-install/reboot_in_progress", type: "note", value: "" },
    boolean("debian-installer/exit/halt", false),
    boolean("debian-installer/exit/poweroff", !reboot),
  ]);
}
