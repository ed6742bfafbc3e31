/**
 * Credentials for servers, by secret handles: which there are, and the header that carries them. They go to the origin for
 * which they were declared and nowhere else. Fetches nothing.
 * @module
 */
import { checkOptions, ExitCode, fit, type Fits, ImgtaskError, type Secret, type Secrets } from "../../lib/mod.ts";
import { printable, redact } from "./mirror.ts";

/** What all credentials have. */
interface Scoped {
  /**
   * The only server that gets them: scheme, host, and port unless it is the usual one, as `"https://mirror.example.org"`.
   * `https:`, or this host by `http:`. Where that server redirects to, they do not go.
   */
  readonly origin: string;
}

/** A token: `Authorization: Bearer …` (RFC 6750). */
export interface BearerCredentials extends Scoped {
  readonly type: "bearer";
  readonly token: Secret;
}

/** A user and a password: `Authorization: Basic …` (RFC 7617). */
export interface BasicCredentials extends Scoped {
  readonly type: "basic";
  readonly user: string;
  readonly password: Secret;
}

/** A header of the server's own, as `X-JFrog-Art-Api`. */
export interface HeaderCredentials extends Scoped {
  readonly type: "header";
  readonly name: string;
  readonly value: Secret;
}

/**
 * How to log in to a server.
 *
 * @example
 * ```ts
 * { origin: "https://mirror.example.org", type: "basic", user: "builder", password: secret.env("MIRROR_PASSWORD") }
 * ```
 */
export type Credentials = BearerCredentials | BasicCredentials | HeaderCredentials;

/** Credentials as parameters of a target: all but the secret. */
export type CredentialForm =
  | { readonly origin: string; readonly type: "bearer" }
  | { readonly origin: string; readonly type: "basic"; readonly user: string }
  | { readonly origin: string; readonly type: "header"; readonly name: string };

/** What requests to an origin carry. */
export interface Login {
  /** `https://host:port`. */
  readonly origin: string;
  /** Name of the header, in lower case. */
  readonly name: string;
  readonly value: string;
}

/** The name under which the recipe gets a secret. */
const key = (index: number): string => `credentials${index}`;

/** Whether a host is this one: what is sent to it, nobody else can read. */
function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(host);
}

function refuse(what: string, expected: string, found?: string): ImgtaskError {
  return new ImgtaskError("IMG2650", `Bad ${what} in credentials`, { expected, ...(found === undefined ? {} : { found: `"${printable(redact(found))}"` }), exitCode: ExitCode.usage });
}

/** An origin in normal form. */
function checkOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const bare = url !== undefined && url.username === "" && url.password === "" && url.pathname === "/" && url.search === "" && url.hash === "";
  if (bare && (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)))) return url.origin;
  throw refuse("origin", `"https://HOST" or "https://HOST:PORT", without a path: anybody on the way could read what is sent by http:`, text);
}

const ownHeaders = /^(?:host|range|if-range|connection|content-length|content-type|transfer-encoding|accept-encoding|user-agent|proxy-.*)$/i;

const scoped = { origin: fit.needed(fit.text), type: fit.needed(fit.word("bearer", "basic", "header")) };
const fits: { readonly [Type in Credentials["type"]]: Fits<Extract<Credentials, { readonly type: Type }>> } = {
  bearer: { ...scoped, token: fit.needed(fit.secretHandle) },
  basic: { ...scoped, user: fit.needed(fit.text), password: fit.needed(fit.secretHandle) },
  header: { ...scoped, name: fit.needed(fit.text), value: fit.needed(fit.secretHandle) },
};

function formOf(credentials: Credentials): { readonly form: CredentialForm; readonly secret: Secret } {
  const call = '"credentials" of download()';
  checkOptions(call, fit.isObject(credentials) ? { type: credentials["type"] } : credentials, { type: scoped.type });
  checkOptions(call, credentials, fits[credentials.type]);
  const origin = checkOrigin(credentials.origin);
  switch (credentials.type) {
    case "bearer":
      return { form: { origin, type: "bearer" }, secret: credentials.token };
    case "basic":
      // RFC 7617: the first colon ends the user's name.
      if (!/^[^:\x00-\x1f\x7f]+$/.test(credentials.user)) throw refuse("user name", `a name without ":" and control characters`);
      return { form: { origin, type: "basic", user: credentials.user }, secret: credentials.password };
    case "header":
      if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(credentials.name) || ownHeaders.test(credentials.name)) {
        throw refuse("name of a header", "a header's name that is none of those which imgtask sends itself", credentials.name);
      }
      return { form: { origin, type: "header", name: credentials.name }, secret: credentials.value };
  }
}

/**
 * The parts of credentials for a target: what is public, and the secrets.
 *
 * @throws {ImgtaskError} IMG2650 for an origin, user name or header that cannot be, or an origin that is named twice.
 */
export function credentialParts(credentials: Credentials | readonly Credentials[] = []): { readonly forms: readonly CredentialForm[]; readonly secrets: Secrets } {
  const parts = (Array.isArray(credentials) ? credentials as readonly Credentials[] : [credentials as Credentials]).map(formOf);
  const origins = parts.map(({ form }) => form.origin);
  const twice = origins.find((origin, index) => origins.indexOf(origin) !== index);
  if (twice !== undefined) throw refuse("origin", "one login for each server", twice);
  return { forms: parts.map(({ form }) => form), secrets: Object.fromEntries(parts.map(({ secret }, index) => [key(index), secret])) };
}

/**
 * What requests carry.
 *
 * @throws {ImgtaskError} IMG5013 when a secret cannot stand in a header.
 */
export function loginsOf(forms: readonly CredentialForm[], secrets: Readonly<Record<string, string>>): readonly Login[] {
  return forms.map((form, index) => {
    const secret = secrets[key(index)]!;
    if (form.type === "basic" ? /[\x00-\x1f\x7f]/.test(secret) : !/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(secret)) {
      throw new ImgtaskError("IMG5013", `The credentials for ${form.origin} cannot be sent: the secret holds a line break or other characters that no header can have`, { hint: "Is there more in its file than the secret?", exitCode: ExitCode.usage });
    }
    const { origin } = form;
    if (form.type === "header") return { origin, name: form.name.toLowerCase(), value: secret };
    return { origin, name: "authorization", value: form.type === "bearer" ? `Bearer ${secret}` : `Basic ${Buffer.from(`${form.user}:${secret}`).toString("base64")}` };
  });
}

/**
 * The login for a URL that imagefile, distribution or mirror variable named; none for where a server redirects to.
 *
 * @param proxied whether a proxy stands in between.
 * @throws {ImgtaskError} IMG5012 when somebody on the way could read it.
 */
export function loginFor(url: URL, logins: readonly Login[], proxied: boolean): Login | undefined {
  const login = logins.find(({ origin }) => origin === url.origin);
  const exposed = (why: string, hint: string): ImgtaskError => new ImgtaskError("IMG5012", `Credentials are not sent to ${redact(url.origin)}: ${why}`, { expected: "an https: URL", hint });
  if (login === undefined) {
    if (url.protocol !== "http:" || isLoopback(url.hostname) || !logins.some(({ origin }) => new URL(origin).hostname === url.hostname)) return undefined;
    throw exposed("anybody on the way could read them", "Name the mirror with https:, or leave the credentials out");
  }
  // Within a tunnel the proxy sees nothing; plain requests it reads.
  if (proxied && url.protocol === "http:") throw exposed("the proxy could read them", `Add ${url.hostname} to no_proxy`);
  return login;
}
