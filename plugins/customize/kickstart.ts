/**
 * Answers for Anaconda: a machine description as a kickstart file.
 * Commands and sections, written with the quoting that pykickstart reads; knows nothing of media and images.
 *
 * Format: "Kickstart Documentation" of pykickstart, whose parser splits lines with Python's shlex (POSIX mode, comments).
 * @module
 */
import { ExitCode, type FullFileSystem, type FullInterface, ImgtaskError, type InstalledMachine, packagesFor } from "../../lib/mod.ts";
import { type AnswerContext, type Answers, cannot, plainUrl } from "./answers.ts";
import { latePackages } from "./payload.ts";

const format = "A kickstart file";

/** A command: its name, then its words. */
export type KickstartCommand = readonly [string, ...string[]];

/** A section: its head, and lines that the parser takes as they are. */
export interface KickstartSection {
  readonly head: KickstartCommand;
  readonly lines: readonly string[];
}

/** A word that shlex gives back as it was. A line's end in a word would end the command. */
function word(text: string): string {
  if (/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u.test(text)) {
    throw new ImgtaskError("IMG2313", `Bad word in a kickstart file: ${JSON.stringify(text)}`, { expected: "one line without control characters", exitCode: ExitCode.usage });
  }
  return /^[A-Za-z0-9@%_+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

function line([name, ...words]: KickstartCommand): string {
  return [name, ...words.map(word)].join(" ");
}

/**
 * The text of commands and sections.
 *
 * @throws {ImgtaskError} IMG2313 for a word that is no single line, or a line of a section that would end it.
 */
export function renderKickstart(commands: readonly KickstartCommand[], sections: readonly KickstartSection[]): string {
  const body = sections.flatMap(({ head, lines }) => {
    const bad = lines.find((one) => /^\s*%/.test(one) || /[\r\n\0]/.test(one));
    if (bad !== undefined) throw new ImgtaskError("IMG2313", `Bad line in a section of a kickstart file: ${JSON.stringify(bad)}`, { expected: `one line that does not start with "%"`, exitCode: ExitCode.usage });
    return ["", line(head), ...lines, "%end"];
  });
  return [...commands.map(line), ...body].map((one) => `${one}\n`).join("");
}

function language({ locale, keyboard, timezone }: InstalledMachine): KickstartCommand[] {
  if (locale.startsWith("POSIX")) cannot(format, "locale", `"C.UTF-8", or a locale with a language`, locale);
  return [["lang", locale], ["keyboard", `--vckeymap=${keyboard}`], ["timezone", timezone, "--utc"]];
}

/** Dotted mask of a network's length. */
function netmask(length: number): string {
  return [0, 1, 2, 3].map((index) => 256 - 2 ** (8 - Math.min(8, Math.max(0, length - 8 * index)))).join(".");
}

function networkInterface(one: FullInterface, index: number): KickstartCommand {
  const field = `network[${index}]`;
  const four = one.addresses.filter((address) => !address.includes(":"));
  const six = one.addresses.filter((address) => address.includes(":"));
  if (four.length > 1) cannot(format, `${field}.addresses`, "one IPv4 address an interface", four);
  if (six.length > 1) cannot(format, `${field}.addresses`, "one IPv6 address an interface", six);
  if (one.dhcp && four.length > 0) cannot(format, `${field}.dhcp`, "either DHCP or an IPv4 address of its own", one);
  const [address, length] = four[0]?.split("/") ?? [];
  return [
    "network", `--device=${one.name}`, "--activate", "--onboot=yes",
    ...(address === undefined ? (one.dhcp ? ["--bootproto=dhcp"] : ["--noipv4"]) : ["--bootproto=static", `--ip=${address}`, `--netmask=${netmask(Number(length))}`]),
    ...(one.gateway === undefined ? [] : [`--gateway=${one.gateway}`]),
    ...(six.length > 0 ? [`--ipv6=${six[0]!}`] : one.dhcp ? ["--ipv6=auto"] : ["--noipv6"]),
    ...(one.gateway6 === undefined ? [] : [`--ipv6gateway=${one.gateway6}`]),
    ...(one.dns.length === 0 ? [] : [`--nameserver=${one.dns.join(",")}`]),
    ...(one.search.length === 0 ? [] : [`--ipv4-dns-search=${one.search.join(",")}`]),
  ];
}

function network({ hostname, network: how }: InstalledMachine): KickstartCommand[] {
  const name: KickstartCommand = ["network", `--hostname=${hostname}`];
  if (how === "none") return [name];
  if (how === "dhcp") return [["network", "--bootproto=dhcp", "--device=link", "--activate", "--onboot=yes"], name];
  return [...how.map(networkInterface), name];
}

function accounts({ users }: InstalledMachine): KickstartCommand[] {
  return [
    ["rootpw", "--lock"],
    // Passwords, groups, keys and rights follow in the payload. Until then Anaconda wants to see somebody who may
    // administer the machine: it would stop and ask.
    ...users.map(({ name, fullName, uid, shell, sudo }): KickstartCommand => [
      "user", `--name=${name}`, `--shell=${shell}`, "--lock",
      ...(uid === undefined ? [] : [`--uid=${uid}`, `--gid=${uid}`]),
      ...(fullName === "" ? [] : [`--gecos=${fullName}`]),
      ...(sudo === "none" ? [] : ["--groups=wheel"]),
    ]),
  ];
}

function partition({ mount, size, type }: FullFileSystem): KickstartCommand {
  return ["part", mount, ...(type === "swap" ? [] : [`--fstype=${type}`]), ...(size === "rest" ? ["--size=1024", "--grow"] : [`--size=${size}`])];
}

function storage({ storage: how }: InstalledMachine, { disk: asked }: AnswerContext): KickstartCommand[] {
  const disk = (asked ?? how?.disk)?.replace(/^\/dev\//, "");
  const volumes = how?.lvm?.volumes ?? [];
  const group = how?.lvm?.group ?? "";
  return [
    ...(disk === undefined ? [] : [["ignoredisk", `--only-use=${disk}`] as const]),
    ["zerombr"],
    ["clearpart", "--all", "--initlabel", "--disklabel=gpt", ...(disk === undefined ? [] : [`--drives=${disk}`])],
    ["bootloader", ...(disk === undefined ? [] : [`--boot-drive=${disk}`])],
    ...(how === undefined ? [["autopart", "--type=plain", "--fstype=ext4", "--nohome", "--noswap"] as const] : [
      // What the firmware needs.
      ["reqpart"] as const,
      ...how.partitions.map(partition),
      ...(how.lvm === undefined ? [] : [
        ["part", "pv.01", "--size=1024", "--grow"] as const,
        ["volgroup", group, "pv.01"] as const,
        ...volumes.map(({ name, mount, size, type }): KickstartCommand => [
          "logvol", mount, `--vgname=${group}`, `--name=${name}`,
          ...(type === "swap" ? [] : [`--fstype=${type}`]),
          ...(size === "rest" ? ["--size=1024", "--grow"] : [`--size=${size}`]),
        ]),
      ]),
    ]),
  ];
}

/** Names of the packages to install, with those that parts of the machine need. */
export function kickstartPackages(machine: InstalledMachine): readonly string[] {
  const needed = [
    ...(machine.users.some(({ sudo }) => sudo !== "none") ? ["sudo"] : []),
    ...(machine.firewall === undefined ? [] : ["firewalld"]),
    ...(machine.passwordPolicy === undefined ? [] : ["libpwquality"]),
    "tar",
  ];
  return [...new Set([...packagesFor(machine, "dnf"), ...needed])];
}

function source({ mirror }: AnswerContext): KickstartCommand {
  return mirror === undefined ? ["cdrom"] : ["url", `--url=${plainUrl(format, "mirror", mirror).href}`];
}

/** What the installers that read this format install has no AppArmor, and repositories of one kind. */
function refuseOthers({ apparmor, repositories, storage: how }: InstalledMachine): void {
  if (apparmor !== undefined) cannot(format, "apparmor", "no AppArmor: the systems installed this way come with SELinux", apparmor);
  const other = repositories.find(({ type }) => type !== "dnf");
  if (other !== undefined) cannot(format, `repositories "${other.name}"`, `repositories of type "dnf"`, other.type);
  // pykickstart's grammar of Red Hat's own releases refuses it, Fedora's takes it.
  const btrfs = [...(how?.partitions ?? []), ...(how?.lvm?.volumes ?? [])].find(({ type }) => type === "btrfs");
  if (btrfs !== undefined) cannot(format, "storage", `"ext4" or "xfs", which every system installed this way has`, btrfs.type);
  const bootless = how?.lvm?.volumes.find(({ mount }) => mount === "/boot");
  if (bootless !== undefined) cannot(format, "storage.lvm.volumes", "/boot on a partition", bootless.mount);
}

/** Takes the payload into the new system and applies it there. Constants only; the place was checked to be a plain path. */
function post(payload: string): KickstartSection {
  return {
    head: ["%post", "--nochroot", "--erroronfail", "--log=/mnt/sysroot/root/imgtask.log"],
    lines: [
      "set -e",
      "mkdir -p -m 0700 /mnt/sysroot/var/tmp/imgtask",
      `cp ${payload}/* /mnt/sysroot/var/tmp/imgtask/`,
      "chroot /mnt/sysroot sh /var/tmp/imgtask/apply",
      "rm -rf /mnt/sysroot/var/tmp/imgtask",
      "echo IMGTASK_LATE_DONE > /dev/console",
    ],
  };
}

/**
 * The kickstart file of a machine: `ks.cfg`.
 *
 * It installs on the whole disk without a question, from the medium or from `mirror`. Passwords, groups, keys, files,
 * repositories, services, the firewall's ports, directories and late commands are not in it: `%post` applies the
 * payload, which Anaconda finds at `context.payload`.
 *
 * @throws {ImgtaskError} IMG2312 for what this format cannot express, IMG2313 for a value that is no single line.
 *
 * @example
 * ```ts
 * kickstart(machine({ hostname: "lab" }), { release: "9", payload: "/run/install/repo/imgtask" });
 * ```
 */
export function kickstart(machine: InstalledMachine, context: AnswerContext): Answers {
  refuseOthers(machine);
  if (!/^(\/[A-Za-z0-9._-]+)+$/.test(context.payload)) cannot(format, "payload", "an absolute path", context.payload);
  const commands: KickstartCommand[] = [
    ["text"],
    source(context),
    ...language(machine),
    ...network(machine),
    ...accounts(machine),
    ...(machine.selinux === undefined ? [] : [["selinux", `--${machine.selinux}`] as const]),
    ...(machine.firewall === undefined ? [] : [["firewall", "--enabled"] as const]),
    ["firstboot", "--disable"],
    ["eula", "--agreed"],
    ["skipx"],
    ...storage(machine, context),
    [context.afterwards === "reboot" ? "reboot" : "poweroff"],
  ];
  return {
    files: {
      "ks.cfg": renderKickstart(commands, [
        { head: ["%pre"], lines: ["echo IMGTASK_KICKSTART_READ > /dev/console"] },
        { head: ["%packages"], lines: ["@core", ...latePackages(machine, kickstartPackages(machine)).now] },
        post(context.payload),
      ]),
    },
  };
}
