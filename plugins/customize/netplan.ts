/**
 * The network of a machine as netplan's configuration, version 2, which cloud-init and Ubuntu's installer read.
 *
 * Format: "YAML configuration" of netplan, and "Networking config Version 2" of cloud-init.
 * @module
 */
import type { FullNetwork } from "../../lib/mod.ts";
import type { Yaml } from "./yaml.ts";

/** A network as parameters or as a machine has it. */
type AnyNetwork = FullNetwork | readonly (Omit<Exclude<FullNetwork, string>[number], "gateway" | "gateway6"> & { readonly gateway?: string | undefined; readonly gateway6?: string | undefined })[];

/** The value of `network`; no interface at all for `"none"`. */
export function netplan(network: AnyNetwork): Yaml {
  if (network === "none") return { version: 2, ethernets: {} };
  if (network === "dhcp") return { version: 2, ethernets: { all: { match: { name: "e*" }, dhcp4: true, dhcp6: true } } };
  const interfaces = network.map(({ name, dhcp, addresses, gateway, gateway6, dns, search }): [string, Yaml] => {
    // By their addresses, not as "default": older readers know no names.
    const routes = [
      ...(gateway === undefined ? [] : [{ to: "0.0.0.0/0", via: gateway }]),
      ...(gateway6 === undefined ? [] : [{ to: "::/0", via: gateway6 }]),
    ];
    return [name, {
      dhcp4: dhcp,
      dhcp6: dhcp,
      ...(addresses.length === 0 ? {} : { addresses }),
      ...(routes.length === 0 ? {} : { routes }),
      ...(dns.length + search.length === 0 ? {} : { nameservers: { addresses: dns, search } }),
    }];
  });
  return { version: 2, ethernets: Object.fromEntries(interfaces) };
}
