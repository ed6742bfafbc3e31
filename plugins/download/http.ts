/**
 * One HTTP(S) request: proxies, redirects, and an end when nothing moves. The body is handed on as the server sent it.
 * Knows nothing of files, sizes, retries or mirrors.
 * @module
 */
// Not fetch(): on Node 20 it knows no proxy, and it decompresses a `Packages.gz` that a server labels as
// `Content-Encoding: gzip`, so the bytes would not be those that were signed.
import http, { type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import { ImgtaskError } from "../../lib/mod.ts";
import { type Login, loginFor } from "./credentials.ts";
import { Interruption } from "./interruption.ts";
import { printable, redact } from "./mirror.ts";
import { type Agents, basic, noPassage, portOf, proxyFor, proxyOptions, secured, tunnel } from "./proxy.ts";

/** How a request is made. */
export interface Connection {
  /** `http_proxy`, `https_proxy` and `no_proxy` are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Milliseconds without a single byte after which the request ends. */
  readonly idle: number;
  /** Makes it a POST request with this body. @default a GET request */
  readonly body?: string;
  /** Credentials; they go to the origin that was asked first, and not to where it redirects. @default none */
  readonly logins?: readonly Login[];
  /** Connections that are used again. @default one connection a request */
  readonly agents?: Agents;
}

const maxRedirects = 5;

async function once(url: URL, headers: Readonly<Record<string, string>>, connection: Connection): Promise<IncomingMessage> {
  const proxy = proxyFor(url, connection.env);
  const authorization = basic(url), host = url.hostname.replace(/^\[|\]$/g, "");
  const agent = connection.agents?.for(url, proxy, connection);
  const options: RequestOptions = {
    method: connection.body === undefined ? "GET" : "POST",
    agent: agent ?? false,
    signal: connection.signal,
    host,
    port: portOf(url),
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
    Object.assign(options, proxyOptions(proxy), { path: bare.href });
    if (proxyAuthorization !== undefined) options.headers = { ...options.headers as object, "proxy-authorization": proxyAuthorization };
    make = proxy.protocol === "https:" ? https.request : http.request;
  } else if (proxy !== undefined && agent === undefined) {
    const socket = await tunnel(host, portOf(url), proxy, connection);
    // With an agent, even a throw-away one, Node would not call this and go there directly.
    delete options.agent;
    options.createConnection = () => secured(socket, host);
  }
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const stalled = (): void => {
      // Ending only the request would make its answer say "aborted", and nobody would know why.
      (answer ?? request).destroy(new Interruption("stalled", `nothing came for ${connection.idle / 1000} s`));
    };
    const request = make(options, (message) => {
      clearTimeout(headless);
      answer = message;
      if (proxy === undefined || message.statusCode !== 407) return resolve(message);
      message.destroy();
      reject(noPassage(proxy));
    });
    request.setTimeout(connection.idle, stalled);
    // A head that comes byte by byte never lets the socket time out.
    const headless = setTimeout(stalled, connection.idle);
    request.once("close", () => clearTimeout(headless));
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
  if (error instanceof Interruption || error instanceof ImgtaskError || connection.signal.aborted) return error;
  const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  if (!/^(ERR_TLS_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_)/.test(code)) return new Interruption("unreachable", code, error);
  return new ImgtaskError("IMG5009", `The certificate of ${url.host} is not to be trusted`, {
    found: code,
    hint: "Is something in between? NODE_EXTRA_CA_CERTS names a file with further authorities",
    cause: error,
  });
}

/** The header of the login for a URL. */
function carried(url: URL, { logins = [], env }: Connection): Readonly<Record<string, string>> {
  if (logins.length === 0) return {};
  const login = loginFor(url, logins, proxyFor(url, env) !== undefined);
  return login === undefined ? {} : { [login.name]: login.value };
}

/**
 * Sends one request and follows no redirect: what it carries is for this host alone.
 *
 * @throws as {@linkcode get}
 */
export async function ask(address: string, headers: Readonly<Record<string, string>>, connection: Connection): Promise<IncomingMessage> {
  const url = new URL(address);
  try {
    // What the request brings itself comes first.
    return await once(url, { ...carried(url, connection), ...headers }, connection);
  } catch (error) {
    throw failure(url, error, connection);
  }
}

/**
 * Sends a GET request and follows redirects.
 *
 * @returns the answer, whatever its status; its body must be read or destroyed.
 * @throws {Interruption} when there is no answer.
 * @throws {ImgtaskError} IMG5007 for redirects that go in circles or away from HTTPS, IMG5009 for a bad certificate, IMG5012 for
 * credentials that somebody could read, IMG5015 for a proxy that refuses, IMG2655 for a bad one.
 */
export async function get(address: string, headers: Readonly<Record<string, string>>, connection: Connection): Promise<IncomingMessage> {
  let url = new URL(address);
  // Once it leads elsewhere, not even a way back gets them.
  let login = carried(url, connection);
  for (let redirects = 0; ; redirects++) {
    let answer: IncomingMessage;
    try {
      answer = await once(url, { ...headers, ...login }, connection);
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
    if (next.origin !== url.origin) login = {};
    url = next;
  }
}
