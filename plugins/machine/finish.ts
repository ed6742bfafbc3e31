/**
 * The last steps on a machine, the same ones wherever they are taken: in an installed system, in the root directory of
 * an image, at the first boot. One fixed script, and data beside it: no value of a machine is ever part of a command,
 * but those that are commands.
 * @module
 */
import { readFileSync } from "node:fs";
import type { ReadyMachine } from "./passwords.ts";
import { quote } from "./quote.ts";

/** A file of data beside the script. */
export interface Step {
  readonly name: string;
  readonly content: Buffer;
  /** Permission bits. @default 0o600 */
  readonly mode?: number;
}

/**
 * Takes the steps whose data lie beside it. To be run as root on the machine, with `sh` and its path.
 *
 * A step without the program that it needs ends it with an error. Accounts without a password never get one that ends:
 * PAM would then refuse their keys as well.
 */
export const finishScript = `#!/bin/sh
# Applies the machine description. Every value is read from the files beside this one.
set -eu
umask 022
cd "\${0%/*}"
if [ -f archives.tar ]; then tar --extract --no-overwrite-dir --keep-directory-symlink --directory=/ --file=archives.tar; fi
if [ -f packages ]; then
  if command -v apt-get >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive xargs --arg-file=packages apt-get --option=Dpkg::Options::=--force-confold install --yes --
  else
    xargs --arg-file=packages dnf install --assumeyes --
  fi
fi
if [ -f login.defs ]; then
  while read -r key value; do
    sed -i "/^[[:space:]]*$key[[:space:]]/d" /etc/login.defs
    printf '%s\\t%s\\n' "$key" "$value" >> /etc/login.defs
  done < login.defs
fi
if [ -f users ]; then
  while IFS=: read -r name uid groups shell full; do
    if ! getent passwd "$name" >/dev/null; then
      useradd --create-home --user-group \${uid:+--uid "$uid"} -- "$name"
    fi
    usermod --shell "$shell" --groups "$groups" --comment "$full" -- "$name"
    usermod --lock -- "$name"
  done < users
fi
if [ -f ages ]; then
  while IFS=: read -r name most least warn; do
    chage \${most:+--maxdays "$most"} \${least:+--mindays "$least"} \${warn:+--warndays "$warn"} -- "$name"
  done < ages
fi
if [ -f passwords ]; then chpasswd --encrypted < passwords; fi
if [ -f owners ]; then
  while IFS=: read -r database name; do
    if ! getent "$database" "$name" >/dev/null; then
      echo "imgtask: no entry \\"$name\\" in $database, but files are to belong to it" >&2
      exit 1
    fi
  done < owners
fi
if [ -f overlay.tar ]; then
  tar --extract --preserve-permissions --no-overwrite-dir --keep-directory-symlink --directory=/ --file=overlay.tar
fi
if [ -f files.tar ]; then tar --extract --preserve-permissions --keep-directory-symlink --directory=/ --file=files.tar; fi
# The console takes its keymap from a file that is made of this one.
if [ -f /etc/default/keyboard ] && command -v setupcon >/dev/null; then setupcon --save-only; fi
# The first value that sshd meets counts; an old one reads no directory.
config=/etc/ssh/sshd_config own=/etc/ssh/sshd_config.d/10-imgtask.conf
if [ -f files.tar ] && [ -f "$own" ] && [ -f "$config" ] && ! grep -qi '^[[:space:]]*Include[[:space:]].*sshd_config[.]d' "$config"; then
  cat "$own" "$config" > sshd_config
  cat sshd_config > "$config"
fi
# What was unpacked has no labels yet.
if [ -f files.tar ] && [ -f /etc/selinux/config ]; then : > /.autorelabel; fi
if command -v visudo >/dev/null; then visudo --check --quiet; fi
if [ -f ports ]; then
  if command -v ufw >/dev/null; then
    ufw default deny incoming
    while IFS=/- read -r first last protocol; do
      if [ -z "$protocol" ]; then ufw allow "$first/$last"; else ufw allow "$first:$last/$protocol"; fi
    done < ports
    sed -i 's/^ENABLED=.*/ENABLED=yes/' /etc/ufw/ufw.conf
    systemctl enable ufw
  elif command -v firewall-offline-cmd >/dev/null; then
    for service in $(firewall-offline-cmd --list-services); do firewall-offline-cmd --remove-service-from-zone="$service"; done
    while read -r port; do firewall-offline-cmd --add-port="$port"; done < ports
    systemctl enable firewalld
  elif command -v nft >/dev/null; then
    cat nftables.conf > /etc/nftables.conf
    systemctl enable nftables
  else
    echo "imgtask: the machine has a firewall, but neither ufw, firewalld nor nftables is installed" >&2
    exit 1
  fi
fi
if [ -f selinux ]; then
  if ! [ -f /etc/selinux/config ]; then
    echo "imgtask: the machine has no SELinux" >&2
    exit 1
  fi
  read -r state < selinux
  sed -i "s/^SELINUX=.*/SELINUX=$state/" /etc/selinux/config
fi
if [ -f apparmor ]; then
  read -r state < apparmor
  case $state in enabled) systemctl enable apparmor ;; disabled) systemctl disable apparmor ;; esac
fi
if [ -f enable ]; then
  while read -r unit; do systemctl enable "$unit"; done < enable
fi
if [ -f disable ]; then
  while read -r unit; do systemctl disable "$unit"; done < disable
fi
here=$(pwd)
for command in late-*; do
  if [ -f "$command" ]; then (cd / && "$here/$command"); fi
done
`;

/** Rules of nftables: nothing from outside but what is allowed, and answers. Format: nft(8). */
function nftables({ allow }: NonNullable<ReadyMachine["firewall"]>): string {
  const ports = (protocol: "tcp" | "udp"): readonly string[] => {
    const elements = allow.filter((one) => one.protocol === protocol).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
    return elements.length === 0 ? [] : [`${protocol} dport { ${elements.join(", ")} } accept`];
  };
  const rules = [
    "type filter hook input priority filter; policy drop;",
    "ct state vmap { established : accept, related : accept, invalid : drop }",
    "iif lo accept",
    "meta l4proto { icmp, ipv6-icmp } accept",
    "ip6 saddr fe80::/10 udp dport 546 accept",
    ...ports("tcp"),
    ...ports("udp"),
  ];
  return `#!/usr/sbin/nft -f\nflush ruleset\ntable inet filter {\n  chain input {\n${rules.map((rule) => `    ${rule}\n`).join("")}  }\n}\n`;
}

function policySteps({ passwordPolicy: policy, users }: ReadyMachine): readonly Step[] {
  if (policy === undefined) return [];
  const { maxAgeDays, minAgeDays, warnDays } = policy;
  const defaults = [["PASS_MAX_DAYS", maxAgeDays], ["PASS_MIN_DAYS", minAgeDays], ["PASS_WARN_AGE", warnDays]].filter(([, value]) => value !== undefined);
  if (defaults.length === 0) return [];
  const ages = users.map(({ name, password }) => (password === undefined ? [name, -1, "", ""] : [name, maxAgeDays ?? "", minAgeDays ?? "", warnDays ?? ""]).join(":"));
  return [lines("login.defs", defaults.map((pair) => pair.join(" "))), lines("ages", ages)];
}

function lines(name: string, all: readonly string[]): Step {
  return { name, content: Buffer.from(all.map((line) => `${line}\n`).join("")) };
}

/**
 * The data of a machine's last steps.
 *
 * @param packages that are installed now, because the machine's own archives had to be there first. @default none
 */
export function finishSteps(machine: ReadyMachine, packages: readonly string[] = []): readonly Step[] {
  const { firewall, selinux, apparmor } = machine;
  const passwords = machine.users.flatMap(({ name, password }) => (password === undefined ? [] : [`${name}:${password}`]));
  return [
    ...policySteps(machine),
    ...(passwords.length === 0 ? [] : [lines("passwords", passwords)]),
    ...(packages.length === 0 ? [] : [lines("packages", packages)]),
    ...(firewall === undefined ? [] : [
      lines("ports", firewall.allow.map(({ first, last, protocol }) => `${first === last ? first : `${first}-${last}`}/${protocol}`)),
      { name: "nftables.conf", content: Buffer.from(nftables(firewall)) },
    ]),
    ...(selinux === undefined ? [] : [lines("selinux", [selinux])]),
    ...(apparmor === undefined ? [] : [lines("apparmor", [apparmor])]),
    ...(["enable", "disable"] as const).filter((verb) => machine.services[verb].length > 0).map((verb) => lines(verb, machine.services[verb])),
    ...machine.late.map((command, index): Step => ({
      name: `late-${String(index).padStart(4, "0")}`,
      mode: 0o700,
      content: "script" in command ? readFileSync(command.script) : Buffer.from(`#!/bin/sh\nexec ${quote(command.argv)}\n`),
    })),
  ];
}
