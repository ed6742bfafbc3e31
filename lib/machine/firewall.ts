/**
 * The firewall of a machine: what may be reached from outside; everything else may not.
 * Plain, checked data: knows no firewall program.
 * @module
 */
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart, isWhole } from "./check.ts";

/** Ports of well-known services, as IANA assigns them. */
const services = {
  ssh: ["22/tcp"],
  http: ["80/tcp"],
  https: ["443/tcp"],
  dns: ["53/tcp", "53/udp"],
  dhcp: ["67/udp"],
  ntp: ["123/udp"],
  ldap: ["389/tcp"],
  ldaps: ["636/tcp"],
  smtp: ["25/tcp"],
  nfs: ["2049/tcp"],
  postgresql: ["5432/tcp"],
  "node-exporter": ["9100/tcp"],
} as const;

/** A service whose ports are known. */
export type FirewallService = keyof typeof services;

/** `"ssh"`, a port as `"8443/tcp"`, or a range as `"60000-61000/udp"`. */
export type Allowed = FirewallService | `${number}/tcp` | `${number}/udp` | `${number}-${number}/tcp` | `${number}-${number}/udp`;

/** What may be reached from outside. Answers to what the machine itself began, ICMP and loopback always pass. */
export interface Firewall {
  readonly allow: readonly Allowed[];
}

/** A range of ports that may be reached. */
export interface OpenPorts {
  readonly first: number;
  readonly last: number;
  readonly protocol: "tcp" | "udp";
}

/** A firewall with services as ports, without overlap, in the order of protocol and number. */
export interface FullFirewall {
  readonly allow: readonly OpenPorts[];
}

const fits: Fits<Firewall> = { allow: fit.needed(fit.texts) };

function openPorts(text: string): OpenPorts {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?\/(tcp|udp)$/.exec(text);
  const first = Number(match?.[1] ?? 0), last = Number(match?.[2] ?? first);
  check(match !== null && isWhole(first, 1, 65535) && isWhole(last, first, 65535), "firewall.allow", text, `one of ${Object.keys(services).join(", ")}, or ports as "22/tcp" and "60000-61000/udp"`);
  return { first, last, protocol: match![3] as "tcp" | "udp" };
}

/** Ranges without overlap, in the order of protocol and number: some firewalls refuse a port that is named twice. */
function merged(all: readonly OpenPorts[]): readonly OpenPorts[] {
  const result: OpenPorts[] = [];
  for (const protocol of ["tcp", "udp"] as const) {
    for (const one of all.filter((ports) => ports.protocol === protocol).sort((a, b) => a.first - b.first || a.last - b.last)) {
      const before = result.at(-1);
      if (before?.protocol === protocol && one.first <= before.last) result[result.length - 1] = { ...before, last: Math.max(before.last, one.last) };
      else result.push(one);
    }
  }
  return result;
}

/** Checks a firewall and makes ports of its services. */
export function fullFirewall(firewall: Firewall): FullFirewall {
  checkPart(firewall, fits, "firewall");
  return { allow: merged(firewall.allow.flatMap((one): readonly string[] => (Object.hasOwn(services, one) ? services[one as FirewallService] : [one])).map(openPorts)) };
}
