/**
 * A real OpenSSH server on a port of its own, with keys of its own, for the user that runs the tests.
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePort, type Relay, relayTo, untilListening } from "./relay.ts";

const program = "/usr/sbin/sshd";

/** Why there is no server, or `undefined`. */
export function sshdMissing(): string | undefined {
  const lacking = [program, "/usr/bin/rsync", "/usr/bin/ssh-agent"].filter((file) => !existsSync(file));
  return lacking.length === 0 ? undefined : `${lacking.join(", ")}: install openssh-server, openssh-client and rsync`;
}

export interface Sshd {
  readonly host: string;
  readonly user: string;
  /** Of the relay in front of it. */
  readonly port: number;
  /** Lines for the true host key. */
  readonly knownHosts: string;
  /** Content of the private key that is let in, and its file. */
  readonly key: string;
  readonly keyFile: string;
  readonly relay: Relay;
  stop(): Promise<void>;
}

/** @param directory an empty one. */
export async function startSshd(directory: string, settings: readonly string[] = []): Promise<Sshd> {
  const make = (name: string): string => {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(directory, name)]);
    return readFileSync(join(directory, `${name}.pub`), "utf8");
  };
  const hostKey = make("host");
  writeFileSync(join(directory, "authorized"), make("user"), { mode: 0o600 });
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  const inner = await freePort();
  writeFileSync(join(directory, "config"), [
    `Port ${inner}`, "ListenAddress 127.0.0.1", `HostKey ${join(directory, "host")}`, `AuthorizedKeysFile ${join(directory, "authorized")}`,
    "StrictModes no", "UsePAM no", "PidFile none", "PasswordAuthentication no", "PermitRootLogin yes", "MaxStartups 100", "PrintMotd no", ...settings, "",
  ].join("\n"));
  const server = spawn(program, ["-D", "-e", "-f", join(directory, "config")], { stdio: "ignore" });
  await untilListening(inner, "sshd");
  const relay = await relayTo(inner);
  return {
    host: "127.0.0.1",
    user: userInfo().username,
    port: relay.port,
    knownHosts: `[127.0.0.1]:${relay.port} ${hostKey.split(" ").slice(0, 2).join(" ")}`,
    key: readFileSync(join(directory, "user"), "utf8"),
    keyFile: join(directory, "user"),
    relay,
    async stop() {
      await relay.close();
      server.kill("SIGKILL");
    },
  };
}
