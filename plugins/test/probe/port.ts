/**
 * Probes of ports: what a guest listens on, as the kernel says in `/proc/net`, so that no program for it is needed
 * (https://docs.kernel.org/networking/proc_net_tcp.html). Pure.
 * @module
 */
import type { Probe } from "./probe.ts";

/** A port as it should be once the boot is over. */
export interface ExpectedPort {
  /** 1 to 65535. */
  readonly port: number;
  /** @default "tcp" */
  readonly protocol?: "tcp" | "udp";
  /** Whether something listens there. @default true */
  readonly open?: boolean;
  /** From where it can be reached: from other machines, or from the guest itself alone. @default either */
  readonly reach?: "anywhere" | "local";
}

interface Listener {
  readonly protocol: string;
  readonly port: number;
  readonly local: boolean;
}

/** TCP sockets that listen (state 0A), and UDP sockets that are bound and not connected (07). */
function listeners(printed: string): readonly Listener[] {
  return printed.split("\n").flatMap((line) => {
    const match = /^(tcp|udp)6? +\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} (0A|07) /.exec(line);
    if (match === null || (match[1] === "tcp") !== (match[4] === "0A")) return [];
    // Addresses stand there word by word in the byte order of the machine, which is little-endian: 127.0.0.1 is 0100007F.
    const address = match[2]!;
    const local = /^(?:0{16}FFFF0000)?.{6}7F$/.test(address) || address === "00000000000000000000000001000000";
    return [{ protocol: match[1]!, port: Number.parseInt(match[3]!, 16), local }];
  });
}

/** Whether something listens, and for whom. */
export function portProbe({ port, protocol = "tcp", open = true, reach }: ExpectedPort): Probe {
  const wanted = open ? `open${reach === undefined ? "" : reach === "local" ? ", to the machine itself alone" : ", to other machines"}` : "closed";
  return {
    name: `port ${port}/${protocol} is ${wanted}`,
    // Only who listens: a busy machine has thousands of other sockets, and a console is slow.
    shell: `for f in tcp tcp6 udp udp6; do [ -r /proc/net/$f ] && sed -n "s/^ *\\([0-9]*: [0-9A-F]*:[0-9A-F]* [0-9A-F]*:[0-9A-F]* 0[A7] \\).*/$f \\1/p" /proc/net/$f; done`,
    judge(printed) {
      const all = listeners(printed);
      const here = all.filter((one) => one.protocol === protocol && one.port === port);
      const reached = here.some(({ local }) => !local) ? "anywhere" : "local";
      if (open ? here.length > 0 && (reach === undefined || reached === reach) : here.length === 0) return undefined;
      const others = [...new Set(all.filter((one) => one.protocol === protocol).map((one) => one.port))].sort((a, b) => a - b);
      return {
        expected: wanted,
        found: here.length > 0 ? `open, to ${reached === "local" ? "the machine itself alone" : "other machines"}` : `nothing listens there; ${protocol} ports that are open: ${others.join(", ") || "none"}`,
      };
    },
  };
}
