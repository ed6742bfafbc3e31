/**
 * A real object storage: OpenStack Swift of Debian with its S3 interface, on loopback, in a directory of its own.
 * What it does not know (2.30): `If-None-Match` of a whole object (it does when a multipart upload is completed),
 * `x-amz-checksum-sha256`, streams with trailers.
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Relay, relayTo } from "./relay.ts";

const programs = ["swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "s3cmd"];

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
  const write = (name: string, settings: string): void => writeFileSync(join(etc, `${name}.conf`), settings);
  const common = `[DEFAULT]\nmount_check = false\ndevices = ${join(directory, "srv")}\nswift_dir = ${etc}\nuser = ${user}\nlog_address = ${join(directory, "nolog")}\n`;
  for (const name of ["account", "container", "object"]) write(name, `${common}[pipeline:main]\npipeline = ${name}-server\n[app:${name}-server]\nuse = egg:swift#${name}\n`);
  const filters = ["catch_errors", "gatekeeper", "s3api", "tempauth", "copy", "slo", "dlo"];
  write("proxy", [
    common, "[pipeline:main]", `pipeline = ${["catch_errors", "gatekeeper", "cache", ...filters.slice(2)].join(" ")} proxy-server`,
    "[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:1",
    ...filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}${name === "s3api" ? "\ns3_acl = false\nlocation = us-east-1" : name === "tempauth" ? "\nuser_test_tester = testing-secret .admin\nuser_test_reader = reading-secret" : ""}`),
    "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n",
  ].join("\n"));
  const log = openSync(join(directory, "log"), "a");
  const server = spawn("/usr/bin/python3", [new URL("object-storage.py", import.meta.url).pathname, directory], { stdio: ["ignore", "pipe", log] });
  closeSync(log);
  const [said] = (await Promise.race([once(server.stdout!, "data"), once(server, "close").then(() => Promise.reject(new Error(readFileSync(join(directory, "log"), "utf8"))))])) as [Buffer];
  const { proxy: port } = JSON.parse(said.toString()) as { proxy: number };
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
      server.kill("SIGKILL");
    },
  };
}
