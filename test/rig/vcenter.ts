/**
 * A vCenter on loopback: VMware's own simulator, built with Debian's Go from Debian's package of govmomi, see `vcenter.go`.
 * The program is kept below the directory for temporary files, by what it is built from: it takes half a minute of a core.
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { makeAuthority } from "./range-server.ts";

const source = new URL("vcenter.go", import.meta.url).pathname;
const library = "/usr/share/gocode/src/github.com/vmware/govmomi/vapi/simulator/simulator.go";

/** Why there is no simulator, or `undefined`. */
export function vcenterMissing(): string | undefined {
  return existsSync("/usr/bin/go") && existsSync(library) ? undefined : "VMware's simulator: install golang-go and golang-github-vmware-govmomi-dev (500 MB)";
}

/** The program, built when it is not there yet. */
function program(): string {
  const sum = createHash("sha256").update(readFileSync(source)).update(readFileSync(library)).digest("hex").slice(0, 16);
  const directory = join(tmpdir(), `imgtask-vcenter-${userInfo().username}`);
  const path = join(directory, sum);
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const work = mkdtempSync(join(directory, "build-"));
  try {
    // Of Debian's packages alone: nothing is downloaded.
    const env = { PATH: process.env["PATH"], HOME: work, GOPATH: "/usr/share/gocode", GO111MODULE: "off", GOPROXY: "off", GOCACHE: join(work, "cache"), GOFLAGS: "-p=1", GOTMPDIR: work };
    execFileSync("/usr/bin/go", ["build", "-o", join(work, "vcenter"), source], { env, stdio: ["ignore", "pipe", "pipe"] });
    renameSync(join(work, "vcenter"), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

/** What the library has, by the names of items and files. */
export interface Shelf {
  readonly description: string;
  readonly type: string;
  readonly id: string;
  readonly files: Readonly<Record<string, Buffer>>;
}

export interface VcenterServer {
  readonly url: string;
  /** File with the certificate of its authority. */
  readonly ca: string;
  /** Of the content library. */
  readonly library: string;
  readonly user: string;
  /** May only look. */
  readonly reader: string;
  readonly password: string;
  /** What is in the library, read by VMware's own client. */
  items(): Readonly<Record<string, Shelf>>;
  empty(): void;
  /** Bytes of files that came since the last call. */
  received(): number;
  stop(): Promise<void>;
}

/** @param directory an empty one. */
export async function startVcenter(directory: string): Promise<VcenterServer> {
  const file = program();
  const { authority: ca, key, certificate } = makeAuthority(directory);
  const count = join(directory, "received");
  writeFileSync(count, "");
  mkdirSync(join(directory, "store"));
  const env = { PATH: process.env["PATH"], TMPDIR: join(directory, "store") };
  const server = spawn(file, ["serve", certificate, key, count], { env, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => (log = `${log}${chunk.toString()}`.slice(-10_000)));
  const [said] = (await Promise.race([once(server.stdout, "data"), once(server, "close").then(() => Promise.reject(new Error(log)))])) as [Buffer];
  const url = said.toString().trim();
  let before = 0;
  const client = (...args: readonly string[]): void => void execFileSync(file, [...args], { env, stdio: ["ignore", "ignore", "pipe"] });
  return {
    url, ca, library: "images", user: "images@vsphere.local", reader: "reader@vsphere.local", password: "a password for tests",
    items() {
      const there = join(directory, "copy");
      rmSync(there, { recursive: true, force: true });
      mkdirSync(there);
      client("read", url, ca, there);
      return Object.fromEntries(readdirSync(there).filter((name) => name.endsWith(".json")).map((name) => {
        const item = name.slice(0, -".json".length), { description = "", type, id } = JSON.parse(readFileSync(join(there, name), "utf8")) as Shelf;
        const files = Object.fromEntries(readdirSync(join(there, item)).sort().map((one) => [one, readFileSync(join(there, item, one))]));
        return [item, { description, type, id, files }];
      }));
    },
    empty: () => client("empty", url, ca),
    received() {
      const now = readFileSync(count, "utf8").split("\n").reduce((sum, line) => sum + Number(line), 0);
      const since = now - before;
      before = now;
      return since;
    },
    async stop() {
      if (server.exitCode !== null || server.signalCode !== null) return;
      server.kill("SIGTERM");
      await once(server, "close");
    },
  };
}
