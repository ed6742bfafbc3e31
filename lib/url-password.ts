/**
 * Passwords in the values of environment variables: those of URLs, `http://USER:PASSWORD@HOST`, and of proxies, which programs
 * take without a scheme, too. They are secrets wherever they stand: they enter no fingerprint, and are masked. Pure.
 * @module
 */

/** A user name and a password, as they are written. */
export interface UrlPassword {
  readonly user: string;
  readonly password: string;
}

/** Variables that name proxies, and who is asked without one. How a server is reached is no part of what it gives: for `untracked: { env }`. */
export const proxyVariables: readonly string[] = ["http_proxy", "https_proxy", "no_proxy"];

/** Source: RFC 3986, 3.2.1. Up to the last `@`, as parsers of URLs have it. */
const inUrl = /([a-z][a-z0-9+.-]*:\/\/)([^/?#:@\s]*):([^/?#\s]+)@/gi;
const inProxy = /^()([^/?#:@\s]*):([^/?#\s]+)@/g;

/** Without a scheme, only proxies are taken for URLs: `debian:12@sha256:…` holds no password. */
function patternFor(name: string, value: string): RegExp {
  return /_proxy$/i.test(name) && !value.includes("://") ? inProxy : inUrl;
}

/** The value of a variable without passwords: all of it that may count. */
export function withoutPasswords(name: string, value: string): string {
  return value.includes("@") ? value.replace(patternFor(name, value), "$1$2@") : value;
}

/** The passwords in the values of variables, each once. */
export function passwordsIn(env: Readonly<Record<string, string | undefined>>): readonly UrlPassword[] {
  const found = new Map<string, UrlPassword>();
  for (const [name, value] of Object.entries(env)) {
    if (value?.includes("@") !== true) continue;
    for (const [, , user = "", password = ""] of value.matchAll(patternFor(name, value))) found.set(`${user}:${password}`, { user, password });
  }
  return [...found.values()];
}
