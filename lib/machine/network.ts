/**
 * The network of a machine: which interfaces it has, and where their addresses come from.
 * Plain, checked data: knows no tool that sets them up.
 * @module
 */
import { isIP, isIPv4, isIPv6 } from "node:net";
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart } from "./check.ts";

/** An Ethernet interface. */
export interface NetworkInterface {
  /** As the kernel calls it: `"eth0"`, `"enp1s0"`; 15 characters at most. */
  readonly name: string;
  /** Whether addresses come by DHCP. @default true without `addresses`, else false */
  readonly dhcp?: boolean;
  /** Fixed ones with the length of their network: `"192.0.2.10/24"`, `"2001:db8::10/64"`. @default [] */
  readonly addresses?: readonly string[];
  /** Where IPv4 leaves the network. @default none */
  readonly gateway?: string;
  /** Where IPv6 leaves the network. @default none: as routers announce */
  readonly gateway6?: string;
  /** Addresses of name servers. @default [] */
  readonly dns?: readonly string[];
  /** Domains in which short names are looked up. @default [] */
  readonly search?: readonly string[];
}

/** An interface with every default filled in. */
export type FullInterface = Required<Omit<NetworkInterface, "gateway" | "gateway6">> & Pick<NetworkInterface, "gateway" | "gateway6">;

/** `"dhcp"` on every Ethernet interface, `"none"`: left alone, or what each one gets. */
export type Network = "dhcp" | "none" | readonly NetworkInterface[];

/** A network with every default filled in. */
export type FullNetwork = "dhcp" | "none" | readonly FullInterface[];

const domain = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

function isAddressWithLength(text: string): boolean {
  const [address, length, ...rest] = text.split("/");
  const most = isIP(address ?? "") === 4 ? 32 : 128;
  return rest.length === 0 && isIP(address ?? "") !== 0 && !address!.includes("%") && /^(0|[1-9]\d{0,2})$/.test(length ?? "") && Number(length) >= 1 && Number(length) <= most;
}

const fits: Fits<NetworkInterface> = { name: fit.needed(fit.text), dhcp: fit.flag, addresses: fit.texts, gateway: fit.text, gateway6: fit.text, dns: fit.texts, search: fit.texts };

function fullInterface(given: NetworkInterface): FullInterface {
  checkPart(given, fits, "an interface");
  const { name, gateway, gateway6 } = given;
  const addresses = given.addresses ?? [];
  check(/^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(name) && name !== "lo", "interface name", name, `a name such as "eth0", 15 characters at most`);
  for (const address of addresses) check(isAddressWithLength(address), "address", address, `an address with the length of its network, as "192.0.2.10/24"`);
  check(gateway === undefined || isIPv4(gateway), "gateway", gateway, "an IPv4 address");
  check(gateway6 === undefined || (isIPv6(gateway6) && !gateway6.includes("%")), "gateway6", gateway6, "an IPv6 address");
  check(gateway === undefined || addresses.some((one) => !one.includes(":")), "gateway", gateway, `an IPv4 address among the addresses of "${name}"`);
  check(gateway6 === undefined || addresses.some((one) => one.includes(":")), "gateway6", gateway6, `an IPv6 address among the addresses of "${name}"`);
  for (const server of given.dns ?? []) check(isIP(server) !== 0 && !server.includes("%"), "name server", server, "an IP address");
  for (const one of given.search ?? []) check(domain.test(one), "search domain", one, "a domain name");
  return {
    name,
    dhcp: given.dhcp ?? addresses.length === 0,
    addresses: [...addresses],
    ...(gateway === undefined ? {} : { gateway }),
    ...(gateway6 === undefined ? {} : { gateway6 }),
    dns: [...(given.dns ?? [])],
    search: [...(given.search ?? [])],
  };
}

/** Checks a network and fills in its defaults. */
export function fullNetwork(network: Network): FullNetwork {
  if (network === "dhcp" || network === "none") return network;
  check(Array.isArray(network) && network.length > 0, "network", network, `"dhcp", "none", or a list of interfaces`);
  const interfaces = network.map(fullInterface);
  const twice = interfaces.find(({ name }, index) => interfaces.findIndex((one) => one.name === name) !== index);
  check(twice === undefined, "interface name", twice?.name, "each interface once");
  return interfaces;
}
