/**
 * On which terms a download asks servers: its logins and limits, in one value. The recipe of `download` makes its terms of it, and so
 * does who asks the same servers in its place: `imgtask outdated` and `update`. Fetches nothing.
 * @module
 */
import type { Secrets } from "../../lib/mod.ts";
import { type CredentialForm, credentialParts, type Credentials, loginsOf } from "./credentials.ts";
import { type DownloadLimits, type Limits, limitsOf } from "./limits.ts";
import { type Terms, termsOf } from "./wanted.ts";

/** How a download reaches its servers. */
export interface Access {
  /** What is public of its credentials. */
  readonly credentials: readonly CredentialForm[];
  /** The rest of them, for who is given secrets. */
  readonly secrets: Secrets;
  readonly limits: Limits;
}

/**
 * What the options of `download()` say of it, checked.
 *
 * @throws {ImgtaskError} IMG2650 for bad credentials, IMG2656 for bad limits.
 */
export function accessOf(options: { readonly credentials?: Credentials | readonly Credentials[]; readonly limits?: DownloadLimits }): Access {
  const { forms, secrets } = credentialParts(options.credentials);
  return Object.freeze({ credentials: forms, secrets, limits: limitsOf(options.limits) });
}

/**
 * Its terms, from now on.
 *
 * @param context with the values of its secrets.
 * @throws {ImgtaskError} IMG5013 when a secret cannot stand in a header.
 */
export function termsFor({ credentials, limits }: Access, context: { readonly secrets: Readonly<Record<string, string>>; readonly signal: AbortSignal }): Terms {
  return termsOf(limits, loginsOf(credentials, context.secrets), context.signal);
}
