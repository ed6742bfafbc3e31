/**
 * Proxies: which one a URL is reached by, and tunnels through it. Knows nothing of what is asked for.
 * @module
 */
import http, { type RequestOptions } from "node:http";
import https from "node:https";
import { BlockList, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect, type TLSSocket } from "node:tls";
import { ExitCode, ImgtaskError } from "../../lib/mod.ts";
import { Interruption } from "./interruption.ts";
import { printable, redact } from "./mirror.ts";

/** What a tunnel needs of a request. */
export interface TunnelOptions {
  readonly signal: AbortSignal;
  /** Milliseconds without a single byte after which it is given up. */
  readonly idle: number;
}

/** Whether an entry of `no_proxy` speaks of a URL: a name with those below it, an address, a network, any with a port. */
function isExempt(url: URL, entry: string): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[|\]$/g, "");
  if (entry === "*") return true;
  const network = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry);
  const family = isIP(host);
  if (network !== null) {
    if (family === 0 || isIP(network[1]!) !== family || Number(network[2]) > (family === 4 ? 32 : 128)) return false;
    const list = new BlockList();
    list.addSubnet(network[1]!, Number(network[2]), family === 4 ? "ipv4" : "ipv6");
    return list.check(host, family === 4 ? "ipv4" : "ipv6");
  }
  const [, name = entry, port] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry) ?? [];
  if (port !== undefined && port !== portOf(url)) return false;
  const suffix = name.replace(/^\[|\]$/g, "").replace(/^\*?\./, "");
  return suffix !== "" && (host === suffix || (family === 0 && host.endsWith(`.${suffix}`)));
}

/** The port of a URL, the scheme's own where it names none. */
export function portOf(url: URL): string {
  return url.port !== "" ? url.port : url.protocol === "https:" ? "443" : "80";
}

/**
 * The proxy for a URL, or `undefined`: `http_proxy` and `https_proxy`, but for what `no_proxy` names.
 *
 * @throws {ImgtaskError} IMG2655 when the variable names no proxy of HTTP.
 */
export function proxyFor(url: URL, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  const variable = url.protocol === "https:" ? "https_proxy" : "http_proxy";
  const named = env[variable];
  if (named === undefined || named === "") return undefined;
  for (const entry of (env["no_proxy"] ?? "").toLowerCase().split(/[,\s]+/)) if (isExempt(url, entry)) return undefined;
  const text = named.includes("://") ? named : `http://${named}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy !== undefined && (proxy.protocol === "http:" || proxy.protocol === "https:") && proxy.hostname !== "") return proxy;
  throw new ImgtaskError("IMG2655", `Bad proxy in ${variable}`, {
    expected: `an http: or https: URL, such as "http://proxy.example.org:3128"`,
    found: `"${printable(redact(text))}"`,
    exitCode: ExitCode.usage,
  });
}

/** `Authorization` or `Proxy-Authorization` of what a URL holds; `undefined` when it names no user. */
export function basic(url: URL): string | undefined {
  if (url.username === "") return undefined;
  return `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString("base64")}`;
}

/** A proxy that lets nobody in as we come. */
export function noPassage(proxy: URL): ImgtaskError {
  return new ImgtaskError("IMG5015", `The proxy ${proxy.host} wants another user name or password`, {
    hint: "http_proxy and https_proxy name them: http://USER:PASSWORD@HOST:PORT, with special characters as %40",
  });
}

/** How a proxy itself is reached. */
export function proxyOptions(proxy: URL): RequestOptions {
  const host = proxy.hostname.replace(/^\[|\]$/g, "");
  return { host, port: portOf(proxy), ...(proxy.protocol === "https:" && isIP(host) === 0 ? { servername: host } : {}) };
}

/** Opens a tunnel through a proxy. */
export function tunnel(host: string, port: string, proxy: URL, { signal, idle }: TunnelOptions): Promise<Socket> {
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const authorization = basic(proxy);
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === "https:" ? https : http).request({
      ...proxyOptions(proxy),
      method: "CONNECT",
      path: target,
      headers: { host: target, ...(authorization === undefined ? {} : { "proxy-authorization": authorization }) },
      signal,
      agent: false,
    });
    request.setTimeout(idle, () => request.destroy(new Interruption("stalled", "the proxy does not answer")));
    const refuse = (status: number | undefined): void => reject(status === 407 || status === 401 ? noPassage(proxy) : new Interruption("unreachable", `the proxy answered ${status ?? "nothing"}`));
    request.once("connect", (response, socket) => {
      if (response.statusCode === 200) return resolve(socket as Socket);
      socket.destroy();
      refuse(response.statusCode);
    });
    request.once("response", (response) => {
      response.destroy();
      refuse(response.statusCode);
    });
    request.once("error", reject);
    request.end();
  });
}

/** TLS with the server at the other end of a tunnel. Its certificate is checked for the name, or address, that was asked for. */
export function secured(socket: Socket, host: string): TLSSocket {
  return tlsConnect({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) });
}

/** Connections that stay open between the requests of a transfer. */
export class Agents {
  readonly #plain = new http.Agent({ keepAlive: true });
  readonly #secure = new https.Agent({ keepAlive: true });
  readonly #tunnels = new Map<string, Tunnels>();

  /** The one for a URL that is reached directly, or by a proxy. */
  for(url: URL, proxy: URL | undefined, options: TunnelOptions): http.Agent {
    if (url.protocol === "http:") return proxy?.protocol === "https:" ? this.#secure : this.#plain;
    if (proxy === undefined) return this.#secure;
    let tunnels = this.#tunnels.get(proxy.href);
    if (tunnels === undefined) this.#tunnels.set(proxy.href, (tunnels = new Tunnels(proxy, options)));
    return tunnels;
  }

  /** Closes all of them. */
  close(): void {
    for (const agent of [this.#plain, this.#secure, ...this.#tunnels.values()]) agent.destroy();
  }
}

/** Connections through the tunnels of one proxy. */
class Tunnels extends https.Agent {
  readonly #proxy: URL;
  readonly #options: TunnelOptions;

  constructor(proxy: URL, options: TunnelOptions) {
    super({ keepAlive: true });
    this.#proxy = proxy;
    this.#options = options;
  }

  override createConnection(options: RequestOptions, done: (error: Error | null, socket?: Duplex) => void): undefined {
    const host = String(options.host);
    tunnel(host, String(options.port ?? 443), this.#proxy, this.#options).then((socket) => done(null, secured(socket, host)), done);
  }
}
