/**
 * Places to publish to, with their real servers: what each one's publisher is given, and what everybody sees there.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lfsMissing, startLfs } from "./lfs-server.ts";
import { proxmoxMissing, startProxmox } from "./proxmox-server.ts";
import { openstackMissing, startOpenstack } from "./openstack.ts";
import type { Order } from "./publish-child.ts";
import { sshdMissing, startSshd } from "./sshd.ts";
import { startGithub } from "./github-server.ts";
import { startSwift, swiftMissing } from "./swift.ts";
import { startVcenter, vcenterMissing } from "./vcenter.ts";

/** A place that is ready. */
export interface Place {
  readonly order: Pick<Order, "module" | "factory" | "options" | "secrets" | "env">;
  /** Values of its secrets by the names of the variables in the options. @default none */
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether names have no "/". */
  readonly flat: boolean;
  /** Whether it holds images, and no documents. @default false */
  readonly images?: boolean;
  /** Whether what is published cannot be replaced: each publication is the first. @default false */
  readonly unchanging?: boolean;
  /** Whether a name has nothing for a moment, while what is there is replaced. @default false */
  readonly gap?: boolean;
  /** Values that may be nowhere but in the processes' memory. */
  readonly canaries: readonly string[];
  /** All that everybody sees, by name; read by programs that are not ours. */
  read(): Promise<Record<string, Buffer>>;
  /** Bytes that came there since the last call, or what else tells that content was written. */
  received(): number;
  /** Bytes that a second run may take to look around. */
  readonly chatter: number;
  /** Resolves when so many bytes have come since the last call of `received`. Only of places that carry on in the middle of a file. */
  readonly reached?: (bytes: number) => Promise<void>;
  /** What `iso/latest` points to, where places have links. */
  readonly latest?: () => string;
  /** Empties it. */
  empty(): Promise<void>;
  /** The order with wrong credentials, and the code that it must lead to. */
  readonly wrong?: { readonly order: Partial<Place["order"]>; readonly code: string };
  /** The order for a place that cannot be written. */
  readonly denied?: { readonly order: Partial<Place["order"]>; readonly code: string };
  stop(): Promise<void>;
}

export interface PlaceKind {
  readonly name: string;
  /** Why it cannot be tried here, or `undefined`. */
  missing(): string | undefined;
  start(): Promise<Place>;
}

const moduleOf = (name: string): string => new URL(`../../plugins/publish/${name}.ts`, import.meta.url).href;
const handle = (name: string): object => ({ type: "secret", from: "environment", name });

/** Files below a directory; not hidden ones of imgtask's, which nobody asks for, nor what links lead to. */
export function filesBelow(directory: string): Record<string, Buffer> {
  if (!existsSync(directory)) return {};
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => lstatSync(join(directory, name)).isFile() && !/(?:^|\/)\.imgtask-[^/]*$|(?:^|\/)latest\//.test(name));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(directory, name))]));
}

/** Tells whether anything below a directory was written since it was last asked: 1 or 0. */
function writes(directory: string): () => number {
  let before = "";
  return () => {
    const names = existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: "utf8" }).sort() : [];
    const now = JSON.stringify(names.map((name) => [name, lstatSync(join(directory, name)).ino, lstatSync(join(directory, name)).ctimeMs]));
    const changed = now !== before;
    before = now;
    return changed ? 1 : 0;
  };
}

const scratchFor = (name: string): string => mkdtempSync(join(tmpdir(), `imgtask-${name}-`));
const removing = (directory: string): void => rmSync(directory, { recursive: true, force: true });

export const directoryPlace: PlaceKind = {
  name: "directory",
  missing: () => undefined,
  async start() {
    const scratch = scratchFor("directory");
    const place = join(scratch, "place");
    return {
      order: { module: moduleOf("directory"), factory: "directory", options: [place, { build: "b7" }], secrets: {}, env: {} },
      flat: false, canaries: [], chatter: 0,
      read: async () => filesBelow(place),
      latest: () => readlinkSync(join(place, "iso/latest")),
      received: writes(place),
      empty: async () => removing(place),
      stop: async () => removing(scratch),
    };
  },
};

export const sshPlace: PlaceKind = {
  name: "ssh",
  missing: sshdMissing,
  async start() {
    const scratch = scratchFor("ssh");
    const sshd = await startSshd(scratch);
    const place = join(scratch, "the place's");
    const options = { host: sshd.host, user: sshd.user, port: sshd.port, knownHosts: sshd.knownHosts, identity: handle("KEY"), path: place, build: "b7" };
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(scratch, "other")]);
    return {
      order: { module: moduleOf("ssh"), factory: "ssh", options, secrets: { sshKey: sshd.key.trimEnd() }, env: {} },
      environment: { KEY: sshd.key },
      flat: false, canaries: sshd.key.split("\n").slice(2, 4), chatter: 20_000,
      read: async () => filesBelow(place),
      latest: () => readlinkSync(join(place, "iso/latest")),
      received: () => sshd.relay.received(),
      reached: sshd.relay.reached,
      empty: async () => removing(place),
      wrong: { order: { secrets: { sshKey: readFileSync(join(scratch, "other"), "utf8").trimEnd() } }, code: "IMG3521" },
      denied: { order: { options: { ...options, path: "/proc/imgtask" } }, code: "IMG3523" },
      async stop() {
        await sshd.stop();
        removing(scratch);
      },
    };
  },
};

export const s3Place: PlaceKind = {
  name: "s3",
  missing: swiftMissing,
  async start() {
    const scratch = scratchFor("s3");
    mkdirSync(join(scratch, "swift"));
    const swift = await startSwift(join(scratch, "swift"));
    const options = {
      bucket: swift.bucket, prefix: "nightly/", endpoint: swift.endpoint, partSize: 5 * 1024 * 1024, conditional: false, checksums: false,
      credentials: { accessKeyId: handle("ID"), secretAccessKey: handle("KEY") },
    };
    const secrets = { s3AccessKeyId: swift.accessKeyId, s3SecretAccessKey: swift.secretAccessKey };
    return {
      order: { module: moduleOf("s3"), factory: "s3", options, secrets, env: {} },
      environment: { ID: swift.accessKeyId, KEY: swift.secretAccessKey },
      flat: false, canaries: [swift.secretAccessKey], chatter: 20_000,
      async read() {
        const there = join(scratch, "copy");
        removing(there);
        mkdirSync(there);
        const listed = swift.s3cmd("ls", "-r", `s3://${swift.bucket}/nightly/`).toString();
        if (!/s3:/.test(listed)) return {};
        swift.s3cmd("get", "-r", "--force", `s3://${swift.bucket}/nightly/`, `${there}/`);
        return Object.fromEntries(Object.entries(filesBelow(there)).filter(([name]) => !name.startsWith(".imgtask/")));
      },
      received: () => swift.relay.received(),
      reached: swift.relay.reached,
      empty: async () => void swift.s3cmd("del", "-r", "--force", `s3://${swift.bucket}/nightly/`),
      wrong: { order: { secrets: { ...secrets, s3SecretAccessKey: "another-secret" } }, code: "IMG3523" },
      denied: { order: { secrets: { s3AccessKeyId: "test:reader", s3SecretAccessKey: "reading-secret" } }, code: "IMG3523" },
      async stop() {
        await swift.stop();
        removing(scratch);
      },
    };
  },
};

export const githubPlace: PlaceKind = {
  name: "github",
  missing: () => undefined,
  async start() {
    const server = await startGithub("example/images");
    const options = { repository: "example/images", tag: "v7", token: handle("TOKEN") };
    return {
      order: { module: moduleOf("github"), factory: "github", options, secrets: { githubToken: server.token }, env: { GITHUB_API_URL: server.url } },
      environment: { TOKEN: server.token },
      flat: true, unchanging: true, canaries: [server.token], chatter: 0,
      read: async () => server.published("v7"),
      received: () => server.received(),
      empty: async () => void server.releases.splice(0),
      wrong: { order: { secrets: { githubToken: "ghp_wrong0123456789" } }, code: "IMG3521" },
      denied: { order: { secrets: { githubToken: server.readingToken } }, code: "IMG3523" },
      stop: async () => await server.stop(),
    };
  },
};

export const lfsPlace: PlaceKind = {
  name: "lfs",
  missing: lfsMissing,
  async start() {
    const scratch = scratchFor("lfs");
    mkdirSync(join(scratch, "server"));
    const server = await startLfs(join(scratch, "server"));
    const options = { repository: server.url, branch: "images", token: handle("TOKEN") };
    const coded = (token: string): string => Buffer.from(`x-access-token:${token}`).toString("base64");
    return {
      order: { module: moduleOf("lfs"), factory: "lfs", options, secrets: { lfsToken: server.token }, env: {} },
      environment: { TOKEN: server.token },
      flat: false, canaries: [server.token, coded(server.token)], chatter: 20_000,
      async read() {
        if (!server.clone("images", join(scratch, "copy"))) return {};
        const { ".gitattributes": _, ...files } = filesBelow(join(scratch, "copy"));
        return files;
      },
      received: () => server.relay.received(),
      empty: async () => server.empty(),
      wrong: { order: { secrets: { lfsToken: "lfs-wrong-0123456789" } }, code: "IMG3521" },
      denied: { order: { secrets: { lfsToken: server.readingToken } }, code: "IMG3523" },
      async stop() {
        await server.stop();
        removing(scratch);
      },
    };
  },
};

export const vspherePlace: PlaceKind = {
  name: "vsphere",
  missing: vcenterMissing,
  async start() {
    const scratch = scratchFor("vsphere");
    const server = await startVcenter(scratch);
    const options = { url: server.url, ca: server.ca, library: server.library, credentials: { user: server.user, password: handle("PASSWORD") }, replace: true };
    return {
      order: { module: moduleOf("vsphere"), factory: "vsphere", options, secrets: { vspherePassword: server.password }, env: {} },
      environment: { PASSWORD: server.password },
      flat: true, images: true, gap: true, canaries: [server.password], chatter: 0,
      // Items of our own, which users see as such, are not what was published.
      read: async () => Object.fromEntries(Object.entries(server.items()).filter(([name]) => !name.startsWith("imgtask-")).map(([name, { files }]) => [name, files[name]!])),
      received: () => server.received(),
      empty: async () => server.empty(),
      wrong: { order: { secrets: { vspherePassword: "another password" } }, code: "IMG3521" },
      denied: { order: { options: { ...options, credentials: { user: server.reader, password: handle("PASSWORD") } } }, code: "IMG3523" },
      async stop() {
        await server.stop();
        removing(scratch);
      },
    };
  },
};

export const proxmoxPlace: PlaceKind = {
  name: "proxmox",
  missing: proxmoxMissing,
  async start() {
    const scratch = scratchFor("proxmox");
    const server = await startProxmox(scratch);
    const { writer, reader } = server.tokens;
    const options = { url: server.url, ca: server.ca, node: server.node, storage: server.storage, tokenId: writer[0], token: handle("TOKEN"), replace: true };
    return {
      order: { module: moduleOf("proxmox"), factory: "proxmox", options, secrets: { proxmoxToken: writer[1] }, env: {} },
      environment: { TOKEN: writer[1] },
      flat: true, images: true, canaries: [writer[1]], chatter: 0,
      async read() {
        const there: Record<string, Buffer> = {};
        // The newest of a name, by what each says it is; the one before it goes when the new one is there.
        for (const { volid } of (JSON.parse(await server.client("list", "iso")) as { volid: string; ctime: number }[]).sort((one, other) => one.ctime - other.ctime)) {
          const [, name, digits] = /:iso\/(.*)-([0-9a-f]{16})\.iso$/.exec(volid)!, bytes = (await server.files())[volid.split(":")[1]!];
          if (bytes === undefined) continue;
          assert.equal(createHash("sha256").update(bytes).digest("hex").slice(0, 16), digits, "a volume that is not what its name says");
          there[`${name}.iso`] = bytes;
        }
        return there;
      },
      received: () => server.received(),
      empty: async () => server.empty(),
      wrong: { order: { secrets: { proxmoxToken: "another-secret" } }, code: "IMG3521" },
      denied: { order: { options: { ...options, tokenId: reader[0] }, secrets: { proxmoxToken: reader[1] } }, code: "IMG3523" },
      async stop() {
        await server.stop();
        removing(scratch);
      },
    };
  },
};

export const openstackPlace: PlaceKind = {
  name: "openstack",
  missing: openstackMissing,
  async start() {
    const scratch = scratchFor("openstack");
    const cloud = await startOpenstack(scratch);
    const options = { authUrl: cloud.authUrl, region: "one", replace: "hide", auth: { method: "application-credential", id: cloud.builder.id, secret: handle("SECRET") } };
    return {
      order: { module: moduleOf("openstack"), factory: "openstack", options, secrets: { openstackSecret: cloud.builder.secret }, env: {} },
      environment: { SECRET: cloud.builder.secret },
      flat: true, images: true, gap: true, canaries: [cloud.builder.secret], chatter: 20_000,
      async read() {
        const seen = await cloud.seen();
        assert.equal(new Set(seen.map(({ name }) => name)).size, seen.length, "two images of one name");
        return Object.fromEntries(seen.map(({ name, bytes }) => [name, bytes ?? Buffer.from("not active")]));
      },
      received: () => cloud.relay.received(),
      empty: async () => await cloud.empty(),
      wrong: { order: { secrets: { openstackSecret: "another-secret" } }, code: "IMG3521" },
      denied: { order: { options: { ...options, auth: { ...options.auth, id: cloud.reader.id } }, secrets: { openstackSecret: cloud.reader.secret } }, code: "IMG3523" },
      async stop() {
        await cloud.stop();
        removing(scratch);
      },
    };
  },
};

/** All of them. */
export const placeKinds: readonly PlaceKind[] = [directoryPlace, githubPlace, lfsPlace, openstackPlace, sshPlace, s3Place, vspherePlace, proxmoxPlace];
