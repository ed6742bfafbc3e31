/**
 * The network of a machine as files of systemd-networkd.
 * Every value in them was checked by `machine()`: names of interfaces, addresses and domains, which hold nothing special.
 *
 * Format: systemd.network(5).
 * @module
 */
import type { ReadyMachine } from "./passwords.ts";
import type { SystemFile } from "./system-file.ts";

function section(name: string, settings: readonly (readonly [string, string])[]): string {
  return `[${name}]\n${settings.map(([key, value]) => `${key}=${value}\n`).join("")}`;
}

/** The files, in the order of interfaces; none for `"none"`. */
export function networkdFiles(network: ReadyMachine["network"]): readonly SystemFile[] {
  if (network === "none") return [];
  if (network === "dhcp") {
    return [{ path: "/etc/systemd/network/80-dhcp.network", content: Buffer.from(`${section("Match", [["Name", "en* eth*"]])}\n${section("Network", [["DHCP", "yes"]])}`) }];
  }
  return network.map(({ name, dhcp, addresses, gateway, gateway6, dns, search }) => ({
    path: `/etc/systemd/network/50-${name}.network`,
    content: Buffer.from(`${section("Match", [["Name", name]])}\n${
      section("Network", [
        ["DHCP", dhcp ? "yes" : "no"],
        ...addresses.map((address) => ["Address", address] as const),
        ...[gateway, gateway6].filter((one) => one !== undefined).map((address) => ["Gateway", address] as const),
        ...dns.map((server) => ["DNS", server] as const),
        ...(search.length === 0 ? [] : [["Domains", search.join(" ")] as const]),
      ])
    }`),
  }));
}
