/**
 * Credentials for a server, by secret handles: which there are, and the header that carries them. They go to the hosts that
 * were named and nowhere else. Fetches nothing.
 * @module
 */
import { ExitCode, ImgtaskError, type Secret, type Secrets } from "../../lib/mod.ts";
import { redact } from "./mirror.ts";

/**
 * How to log in to a server: a bearer token, a user with a password, or a header of one's own. `download()` has no
 * option for it yet.
 */
export type Credentials =
  | { readonly type: "bearer"; readonly token: Secret }
  | { readonly type: "basic"; readonly user: string; readonly password: Secret }
  | { readonly type: "header"; readonly name: string; readonly value: Secret };

/** Credentials as parameters of a target: all but the secret. */
export type CredentialForm =
  | { readonly type: "bearer" }
  | { readonly type: "basic"; readonly user: string }
  | { readonly type: "header"; readonly name: string };

/** What a request sends, to whom. */
export interface Login {
  /** Name of the header, in lower case. */
  readonly name: string;
  readonly value: string;
  /** Origins it may go to: `https://host:port`. */
  readonly origins: ReadonlySet<string>;
}

/** The name under which the recipe gets the secret. */
const key = "credentials";

/**
 * The parts of credentials for a target: what is public, and the secret.
 *
 * @throws {ImgtaskError} IMG2650 for a user name or header that cannot be sent.
 */
export function credentialParts(credentials: Credentials | undefined): { readonly form?: CredentialForm; readonly secrets?: Secrets } {
  if (credentials === undefined) return {};
  const refuse = (what: string, expected: string): ImgtaskError => new ImgtaskError("IMG2650", `Bad ${what} in credentials`, { expected, exitCode: ExitCode.usage });
  switch (credentials.type) {
    case "bearer":
      return { form: { type: "bearer" }, secrets: { [key]: credentials.token } };
    case "basic":
      // RFC 7617: the first colon ends the user's name.
      if (!/^[^:\x00-\x1f\x7f]+$/.test(credentials.user)) throw refuse("user name", `a name without ":" and control characters`);
      return { form: { type: "basic", user: credentials.user }, secrets: { [key]: credentials.password } };
    case "header":
      if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(credentials.name) || /^(?:host|range|if-range|connection|content-length|transfer-encoding|proxy-.*)$/i.test(credentials.name)) {
        throw refuse("name of a header", "a header's name that is none of those which imgtask sends itself");
      }
      return { form: { type: "header", name: credentials.name }, secrets: { [key]: credentials.value } };
  }
}

/** Whether a host is this one: what is sent to it, nobody else can read. */
function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(host);
}

/**
 * The header for the servers at some URLs.
 *
 * @param urls those that were named by imagefile, distribution or mirror variable; not those of redirects.
 * @throws {ImgtaskError} IMG5012 when one of them is not reached by HTTPS, IMG5013 when the secret cannot stand in a header.
 */
export function loginFor(form: CredentialForm | undefined, secrets: Readonly<Record<string, string>>, urls: readonly string[]): Login | undefined {
  if (form === undefined) return undefined;
  const secret = secrets[key] ?? "";
  const origins = new Set<string>();
  for (const text of urls) {
    const url = new URL(text);
    if (url.protocol === "file:") continue;
    if (url.protocol !== "https:" && !isLoopback(url.hostname)) {
      throw new ImgtaskError("IMG5012", `Credentials are not sent to ${redact(url.origin)}: anybody on the way could read them`, { expected: "an https: URL", hint: "Name a mirror with https:, or leave the credentials out" });
    }
    origins.add(url.origin);
  }
  const value = form.type === "bearer" ? `Bearer ${secret}` : form.type === "basic" ? `Basic ${Buffer.from(`${form.user}:${secret}`).toString("base64")}` : secret;
  if (!/^[\x20-\x7e\x80-\xff]+$/.test(value)) {
    throw new ImgtaskError("IMG5013", "The credentials cannot be sent: the secret holds a line break or other characters that no header can have", { hint: "Is there more in its file than the secret?", exitCode: ExitCode.usage });
  }
  return { name: form.type === "header" ? form.name.toLowerCase() : "authorization", value, origins };
}
