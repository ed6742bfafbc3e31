/**
 * A real object storage: OpenStack Swift of Debian with its S3 interface, on loopback, in a directory of its own.
 * What it does not know (2.30): `If-None-Match`, `x-amz-checksum-sha256`, streams with trailers. `strictFront` adds
 * the first two in front of it, as AWS documents them.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, type Relay, relayTo, untilListening } from "./relay.ts";

const programs = ["swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "swift-ring-builder", "s3cmd"];

/** Why there is no server, or `undefined`. */
export function swiftMissing(): string | undefined {
  const lacking = programs.filter((name) => !existsSync(`/usr/bin/${name}`));
  return lacking.length === 0 ? undefined : `${lacking.join(", ")}: install swift-proxy, swift-account, swift-container, swift-object and s3cmd`;
}

export interface Swift {
  /** Of the relay in front of it. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly bucket: string;
  readonly relay: Relay;
  /** Runs s3cmd, a client that is not ours. */
  s3cmd(...args: readonly string[]): Buffer;
  stop(): Promise<void>;
}

/** @param directory an empty one, on a file system with extended attributes. */
export async function startSwift(directory: string): Promise<Swift> {
  const etc = join(directory, "etc");
  mkdirSync(etc);
  mkdirSync(join(directory, "srv", "d1"), { recursive: true });
  const user = process.env["USER"] ?? execFileSync("id", ["-un"]).toString().trim();
  writeFileSync(join(etc, "swift.conf"), "[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n[storage-policy:0]\nname = one\ndefault = yes\n");
  const children: ChildProcess[] = [];
  const log = openSync(join(directory, "log"), "a");
  const start = (name: string, settings: string): void => {
    const file = join(etc, `${name}.conf`);
    writeFileSync(file, settings);
    children.push(spawn(`/usr/bin/swift-${name}-server`, [file], { stdio: ["ignore", log, log] }));
  };
  const common = (port: number): string => `[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = ${port}\nworkers = 0\nmount_check = false\ndevices = ${join(directory, "srv")}\nswift_dir = ${etc}\nuser = ${user}\nlog_address = ${join(directory, "nolog")}\n`;
  const ports: number[] = [];
  for (const name of ["account", "container", "object"]) {
    const port = await freePort();
    ports.push(port);
    const builder = join(etc, `${name}.builder`);
    execFileSync("swift-ring-builder", [builder, "create", "1", "1", "1"], { stdio: "ignore" });
    execFileSync("swift-ring-builder", [builder, "add", `r1z1-127.0.0.1:${port}/d1`, "1"], { stdio: "ignore" });
    execFileSync("swift-ring-builder", [builder, "rebalance"], { stdio: "ignore" });
    start(name, `${common(port)}[pipeline:main]\npipeline = ${name}-server\n[app:${name}-server]\nuse = egg:swift#${name}\n`);
  }
  const port = await freePort();
  const filters = ["catch_errors", "gatekeeper", "s3api", "tempauth", "copy", "slo", "dlo"];
  start("proxy", [
    common(port), "[pipeline:main]", `pipeline = ${["catch_errors", "gatekeeper", "cache", ...filters.slice(2)].join(" ")} proxy-server`,
    "[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:1",
    ...filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}${name === "s3api" ? "\ns3_acl = false\nlocation = us-east-1" : name === "tempauth" ? "\nuser_test_tester = testing-secret .admin\nuser_test_reader = reading-secret" : ""}`),
    "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n",
  ].join("\n"));
  for (const one of [...ports, port]) await untilListening(one, "swift");
  const relay = await relayTo(port);
  const config = join(directory, "s3cfg");
  const [accessKeyId, secretAccessKey, bucket] = ["test:tester", "testing-secret", "images"];
  writeFileSync(config, `[default]\naccess_key = ${accessKeyId}\nsecret_key = ${secretAccessKey}\nhost_base = 127.0.0.1:${port}\nhost_bucket = 127.0.0.1:${port}\nuse_https = False\n`);
  const s3cmd = (...args: readonly string[]): Buffer => execFileSync("/usr/bin/s3cmd", ["--no-progress", "-c", config, ...args], { maxBuffer: 2 ** 28, stdio: ["ignore", "pipe", "pipe"] });
  s3cmd("mb", `s3://${bucket}`);
  return {
    endpoint: `http://127.0.0.1:${relay.port}`,
    accessKeyId, secretAccessKey, bucket, relay, s3cmd,
    async stop() {
      await relay.close();
      for (const child of children) child.kill("SIGKILL");
    },
  };
}
