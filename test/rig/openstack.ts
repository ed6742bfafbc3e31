/**
 * A real cloud as far as images go: OpenStack's Keystone and Glance of Debian, on loopback, in a directory of their own. Who
 * may do what is set up by Keystone's own interface; what is there is read by python-glanceclient.
 *
 * Not among the packages for tests, since they bring 120 others: 200 MB and two minutes. To run these tests:
 * `apt-get install --no-install-recommends python3-glance python3-keystone python3-openstackclient`.
 * @module
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, type Relay, relayTo } from "./relay.ts";

const python = "/usr/bin/python3";
const rig = new URL("openstack.py", import.meta.url).pathname;
const modules = ["glance", "keystone", "openstackclient"];

/** Why there is no cloud, or `undefined`. */
export function openstackMissing(): string | undefined {
  const lacking = modules.filter((name) => !existsSync(`/usr/lib/python3/dist-packages/${name}`));
  return lacking.length === 0 ? undefined : `no ${lacking.join(", ")}: apt-get install --no-install-recommends python3-glance python3-keystone python3-openstackclient`;
}

/** An application credential. */
export interface Credential {
  readonly id: string;
  readonly secret: string;
}

/** An image as its users see it. */
export interface SeenImage {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly [property: string]: unknown;
  /** Its bytes, read by glanceclient. */
  readonly bytes: Buffer | undefined;
}

export interface Openstack {
  /** Of Keystone. */
  readonly authUrl: string;
  /** Of Glance, behind the relay; it is in the catalogue of region "one". */
  readonly imageUrl: string;
  readonly relay: Relay;
  /** May make images of the project "images". */
  readonly builder: Credential;
  /** Of the same, as user "builder" with this password. */
  readonly password: string;
  /** May only look at them. */
  readonly reader: Credential;
  /** May make images of the project "others", and public ones. */
  readonly other: Credential;
  /** What a user of the project "images" finds in the list, that of hidden images not asked for. */
  seen(): Promise<readonly SeenImage[]>;
  /** A request to Glance as one of them, past the relay. */
  ask(who: Credential, method: string, path: string, body?: unknown, type?: string): Promise<{ readonly status: number; readonly data: unknown }>;
  /** Deletes all images of the project "images". */
  empty(): Promise<void>;
  stop(): Promise<void>;
}

/** @param directory an empty one */
export async function startOpenstack(directory: string): Promise<Openstack> {
  const ending: (() => Promise<void>)[] = [];
  try {
    return await start(directory, ending);
  } catch (error) {
    for (const end of ending) await end();
    throw error;
  }
}

async function start(directory: string, ending: (() => Promise<void>)[]): Promise<Openstack> {
  const [keystone, glance] = [await freePort(), await freePort()];
  const log = openSync(join(directory, "log"), "a");
  const env = { PATH: process.env["PATH"], LANG: "C.UTF-8" };
  const server = spawn(python, [rig, "serve", directory, String(keystone), String(glance)], { stdio: ["pipe", "pipe", log], env });
  closeSync(log);
  const closed = once(server, "close");
  ending.push(async () => {
    server.stdin!.end();
    await closed;
  });
  await Promise.race([once(server.stdout!, "data"), closed.then(() => Promise.reject(new Error(readFileSync(join(directory, "log"), "utf8").slice(-3000))))]);
  const relay = await relayTo(glance);
  ending.push(async () => await relay.close());
  const authUrl = `http://127.0.0.1:${keystone}`, imageUrl = `http://127.0.0.1:${relay.port}`;

  const fetched = async (token: string, method: string, url: string, body?: unknown, type = "application/json"): Promise<{ readonly status: number; readonly headers: Headers; readonly data: unknown }> => {
    const reply = await fetch(url, { method, headers: { ...(token === "" ? {} : { "x-auth-token": token }), ...(body === undefined ? {} : { "content-type": type }) }, ...(body === undefined ? {} : { body: body instanceof Buffer ? body : JSON.stringify(body) }) });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, data: (reply.headers.get("content-type") ?? "").startsWith("application/json") && text !== "" ? JSON.parse(text) : text };
  };
  const tokenBy = async (auth: object): Promise<string> => {
    const { status, headers, data } = await fetched("", "POST", `${authUrl}/v3/auth/tokens`, { auth });
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(data)}`);
    return headers.get("x-subject-token")!;
  };
  const asUser = (name: string, password: string, project: string): Promise<string> =>
    tokenBy({ identity: { methods: ["password"], password: { user: { name, domain: { id: "default" }, password } } }, scope: { project: { name: project, domain: { id: "default" } } } });
  const admin = await asUser("admin", "admin-secret", "admin");
  const make = async (token: string, path: string, body: object): Promise<Record<string, string>> => {
    const { status, data } = await fetched(token, "POST", `${authUrl}/v3/${path}`, body);
    if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(data)}`);
    return Object.values(data as Record<string, Record<string, string>>)[0]!;
  };
  const roles = ((await fetched(admin, "GET", `${authUrl}/v3/roles`)).data as { roles: { id: string; name: string }[] }).roles;
  const service = await make(admin, "services", { service: { type: "image", name: "glance" } });
  await make(admin, "endpoints", { endpoint: { service_id: service["id"], interface: "public", region_id: "one", url: imageUrl } });
  const projects = new Map<string, string>();
  const credentialOf = async (user: string, project: string, role: string): Promise<Credential & { readonly password: string }> => {
    if (!projects.has(project)) projects.set(project, (await make(admin, "projects", { project: { name: project, domain_id: "default" } }))["id"]!);
    const password = `${user}-password-0123`, secret = `${user}-application-secret`;
    const { id: userId } = await make(admin, "users", { user: { name: user, password, domain_id: "default" } });
    await fetched(admin, "PUT", `${authUrl}/v3/projects/${projects.get(project)!}/users/${userId!}/roles/${roles.find(({ name }) => name === role)!.id}`);
    const { id } = await make(await asUser(user, password, project), `users/${userId!}/application_credentials`, { application_credential: { name: "imgtask", secret } });
    return { id: id!, secret, password };
  };
  const { password, ...builder } = await credentialOf("builder", "images", "member");
  const reader = await credentialOf("reader", "images", "reader");
  const other = await credentialOf("other", "others", "admin");
  writeFileSync(join(directory, "login.json"), JSON.stringify({ auth_url: `${authUrl}/v3`, ...builder }), { mode: 0o600 });

  const ask: Openstack["ask"] = async ({ id, secret }, method, path, body, type) => {
    const token = await tokenBy({ identity: { methods: ["application_credential"], application_credential: { id, secret } } });
    return await fetched(token, method, `http://127.0.0.1:${glance}${path}`, body, type);
  };
  return {
    authUrl, imageUrl, relay, builder, password, reader, other, ask,
    async seen() {
      const into = join(directory, "seen");
      rmSync(into, { recursive: true, force: true });
      mkdirSync(into);
      const { stdout } = await promisify(execFile)(python, [rig, "read", directory, into], { env: { ...env, HOME: directory }, maxBuffer: 2 ** 26 });
      return (JSON.parse(stdout) as (Omit<SeenImage, "bytes"> & { readonly id: string; readonly name: string; readonly status: string; readonly file: string | null })[])
        .map(({ file, ...image }) => ({ ...image, bytes: file === null ? undefined : readFileSync(file) }));
    },
    async empty() {
      for (const hidden of [false, true]) {
        const { images } = (await ask(builder, "GET", `/v2/images?os_hidden=${hidden}&limit=1000&owner=${projects.get("images")!}`)).data as { images: { id: string }[] };
        for (const { id } of images) await ask(builder, "DELETE", `/v2/images/${id}`);
      }
    },
    async stop() {
      for (const end of ending) await end();
    },
  };
}
