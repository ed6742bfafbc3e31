/**
 * A real proxy: tinyproxy of Debian on a loopback port, with what it saw. Knows nothing of the code under test.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A running proxy. */
export interface Tinyproxy {
  /** `HOST:PORT`. */
  readonly host: string;
  /** What was asked of it: `CONNECT localhost:443`, `GET http://…`. */
  seen(): readonly string[];
  /** All that it wrote. */
  log(): string;
  close(): void;
}

/** Whether there is one to start; else the reason. */
export const noTinyproxy: string | false = spawnSync("tinyproxy", ["-v"]).status === 0 ? false : "no tinyproxy (package tinyproxy-bin)";

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts one; with `login`, it wants a user name and a password. */
export async function tinyproxy(directory: string, login?: { readonly user: string; readonly password: string }): Promise<Tinyproxy> {
  const place = mkdtempSync(join(directory, "proxy-")), log = join(place, "log"), port = await freePort();
  const lines = [`Port ${port}`, "Listen 127.0.0.1", "Timeout 60", `LogFile "${log}"`, "LogLevel Connect", "MaxClients 50", "Allow 127.0.0.1"];
  if (login !== undefined) lines.push(`BasicAuth ${login.user} ${login.password}`);
  writeFileSync(join(place, "conf"), `${lines.join("\n")}\n`);
  const child = spawn("tinyproxy", ["-d", "-c", join(place, "conf")], { stdio: "ignore" });
  const read = (): string => (existsSync(log) ? readFileSync(log, "utf8") : "");
  for (let tries = 0; tries < 200; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true))).once("error", () => resolve(false));
    });
    if (open) {
      return {
        host: `127.0.0.1:${port}`, log: read, close: () => void child.kill("SIGKILL"),
        seen: () => [...read().matchAll(/Request \(file descriptor \d+\): (\S+ \S+)/g)].map(([, text]) => text!),
      };
    }
    await sleep(50);
  }
  child.kill("SIGKILL");
  throw new Error(`tinyproxy does not listen: ${read()}`);
}
