/**
 * One HTTP(S) request: proxies, redirects, and an end when nothing moves. The body is handed on as the server sent it.
 * Knows nothing of files, sizes, retries or mirrors.
 * @module
 */
// Not fetch(): on Node 20 it knows no proxy, and it decompresses a `Packages.gz` that a server labels as
// `Content-Encoding: gzip`, so the bytes would not be those that were signed.
import http, { type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { ImgtaskError } from "../../lib/mod.ts";
import type { Login } from "./credentials.ts";
import { printable, redact } from "./mirror.ts";

/** A failure that another attempt may cure. */
export class Interruption extends Error {
  readonly reason: "unreachable" | "cut" | "stalled";
  constructor(reason: "unreachable" | "cut" | "stalled", message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** How a request is made. */
export interface Connection {
  /** `http_proxy`, `https_proxy` and `no_proxy` are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Milliseconds without a single byte after which the request ends. */
  readonly idle: number;
  /** Makes it a POST request with this body. @default a GET request */
  readonly body?: string;
  /** Credentials; they go to the host that was asked first, and not to where it redirects. @default none */
  readonly login?: Login;
  /** Connections that are used again. @default one connection a request */
  readonly agents?: Agents;
}

/** Connections that stay open between the requests of a transfer. */
export class Agents {
  readonly #plain = new http.Agent({ keepAlive: true });
  readonly #secure = new https.Agent({ keepAlive: true });
  readonly #tunnels = new Map<string, Tunnels>();

  /** The one for a URL that is reached directly, or by a proxy. */
  for(url: URL, proxy: URL | undefined, connection: Connection): http.Agent {
    if (url.protocol === "http:") return this.#plain;
    if (proxy === undefined) return this.#secure;
    let tunnels = this.#tunnels.get(proxy.href);
    if (tunnels === undefined) this.#tunnels.set(proxy.href, (tunnels = new Tunnels(proxy, connection)));
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
  readonly #connection: Connection;

  constructor(proxy: URL, connection: Connection) {
    super({ keepAlive: true });
    this.#proxy = proxy;
    this.#connection = connection;
  }

  override createConnection(options: RequestOptions, done: (error: Error | null, socket?: Duplex) => void): undefined {
    const host = String(options.host), port = String(options.port ?? 443);
    tunnel(host, port, this.#proxy, this.#connection).then((socket) => done(null, tlsConnect({ socket, servername: host })), done);
  }
}

const maxRedirects = 5;

/** The proxy for a URL, or `undefined`. */
export function proxyFor(url: URL, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  const named = env[url.protocol === "https:" ? "https_proxy" : "http_proxy"];
  if (named === undefined || named === "") return undefined;
  const host = url.hostname.toLowerCase();
  for (const entry of (env["no_proxy"] ?? "").toLowerCase().split(",")) {
    const suffix = entry.trim().replace(/^\*?\./, "");
    if (suffix === "*" || (suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`)))) return undefined;
  }
  return new URL(named.includes("://") ? named : `http://${named}`);
}

function basic(url: URL): string | undefined {
  if (url.username === "") return undefined;
  return `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString("base64")}`;
}

/** Opens a tunnel through a proxy. */
function tunnel(host: string, port: string, proxy: URL, connection: Connection): Promise<Socket> {
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const authorization = basic(proxy);
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: proxy.hostname,
      port: proxy.port === "" ? 80 : proxy.port,
      method: "CONNECT",
      path: target,
      headers: { host: target, ...(authorization === undefined ? {} : { "proxy-authorization": authorization }) },
      signal: connection.signal,
      agent: false,
    });
    request.setTimeout(connection.idle, () => request.destroy(new Interruption("stalled", "the proxy does not answer")));
    request.once("connect", (response, socket) => {
      if (response.statusCode === 200) resolve(socket as Socket);
      else reject(new Interruption("unreachable", `the proxy answered ${response.statusCode ?? "nothing"}`));
    });
    request.once("error", reject);
    request.end();
  });
}

async function once(url: URL, headers: Readonly<Record<string, string>>, connection: Connection): Promise<IncomingMessage> {
  const proxy = proxyFor(url, connection.env);
  const authorization = basic(url);
  const agent = connection.agents?.for(url, proxy, connection);
  const options: RequestOptions = {
    method: connection.body === undefined ? "GET" : "POST",
    agent: agent ?? false,
    signal: connection.signal,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port,
    path: `${url.pathname}${url.search}`,
    headers: {
      host: url.host,
      "user-agent": "imgtask",
      "accept-encoding": "identity",
      ...(authorization === undefined ? {} : { authorization }),
      ...headers,
    },
  };
  let make = url.protocol === "https:" ? https.request : http.request;
  if (proxy !== undefined && url.protocol === "http:") {
    const proxyAuthorization = basic(proxy);
    const bare = new URL(url);
    bare.username = bare.password = "";
    Object.assign(options, { host: proxy.hostname, port: proxy.port === "" ? 80 : proxy.port, path: bare.href });
    if (proxyAuthorization !== undefined) options.headers = { ...options.headers as object, "proxy-authorization": proxyAuthorization };
    make = http.request;
  } else if (proxy !== undefined && agent === undefined) {
    const socket = await tunnel(String(options.host), String(options.port), proxy, connection);
    // With an agent, even a throw-away one, Node would not call this and go there directly.
    delete options.agent;
    options.createConnection = () => tlsConnect({ socket, servername: url.hostname });
  }
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const request = make(options, (message) => resolve((answer = message)));
    request.setTimeout(connection.idle, () => {
      // Ending only the request would make its answer say "aborted", and nobody would know why.
      (answer ?? request).destroy(new Interruption("stalled", `nothing came for ${connection.idle / 1000} s`));
    });
    request.once("error", (error: NodeJS.ErrnoException) => {
      // The server closed a connection just when it was to be used again: that says nothing of the request.
      if (request.reusedSocket && connection.body === undefined && answer === undefined && error.code === "ECONNRESET") once(url, headers, connection).then(resolve, reject);
      else reject(error);
    });
    request.end(connection.body);
  });
}

/** Words for a request that got no answer. */
function failure(url: URL, error: unknown, connection: Connection): unknown {
  if (error instanceof Interruption || connection.signal.aborted) return error;
  const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  if (!/^(ERR_TLS_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/.test(code)) return new Interruption("unreachable", code, error);
  return new ImgtaskError("IMG5009", `The certificate of ${url.host} is not to be trusted`, {
    found: code,
    hint: "Is something in between? NODE_EXTRA_CA_CERTS names a file with further authorities",
    cause: error,
  });
}

/**
 * Sends one request and follows no redirect: what it carries is for this host alone.
 *
 * @throws as {@linkcode get}
 */
export async function ask(address: string, headers: Readonly<Record<string, string>>, connection: Connection): Promise<IncomingMessage> {
  const url = new URL(address);
  try {
    return await once(url, headers, connection);
  } catch (error) {
    throw failure(url, error, connection);
  }
}

/**
 * Sends a GET request and follows redirects.
 *
 * @returns the answer, whatever its status; its body must be read or destroyed.
 * @throws {Interruption} when there is no answer.
 * @throws {ImgtaskError} IMG5007 for redirects that go in circles or away from HTTPS, IMG5009 for a bad certificate.
 */
export async function get(address: string, headers: Readonly<Record<string, string>>, connection: Connection): Promise<IncomingMessage> {
  let url = new URL(address);
  const { login } = connection;
  // Once it leads elsewhere, not even a way back gets them.
  let known = login?.origins.has(url.origin) === true;
  for (let redirects = 0; ; redirects++) {
    let answer: IncomingMessage;
    try {
      answer = await once(url, known ? { ...headers, [login!.name]: login!.value } : headers, connection);
    } catch (error) {
      throw failure(url, error, connection);
    }
    const status = answer.statusCode ?? 0;
    const location = answer.headers.location;
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return answer;
    answer.destroy();
    const refuse = (why: string): ImgtaskError =>
      new ImgtaskError("IMG5007", `Refused a redirect of ${redact(address)}: ${why}`, { found: `"${printable(redact(location))}"` });
    if (redirects >= maxRedirects) throw refuse(`more than ${maxRedirects} in a row`);
    let next: URL;
    try {
      next = new URL(location, url);
    } catch {
      throw refuse("it leads to no URL");
    }
    if (next.protocol !== "https:" && next.protocol !== "http:") throw refuse("it leads away from HTTP");
    if (url.protocol === "https:" && next.protocol === "http:") throw refuse("it leads away from HTTPS");
    known &&= next.origin === url.origin;
    url = next;
  }
}
