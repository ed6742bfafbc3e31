/**
 * Secrets from HashiCorp Vault or OpenBao: engine KV, version 2
 * (https://openbao.org/api-docs/secret/kv/kv-v2/#read-secret-version). Knows nothing of who uses them.
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkOptions, ExitCode, fit, type Fits, ImgtaskError, type Secret, secret, type SecretContext, type SecretOptions } from "../../lib/mod.ts";

/** What `vault()` takes beside path and field. */
export interface VaultOptions extends SecretOptions {
  /** Where the engine is mounted. @default "secret" */
  readonly mount?: string;
  /** Version of the secret there; also part of the fingerprint. @default the newest */
  readonly keyVersion?: number;
}

const fits: Fits<VaultOptions> = { mount: fit.text, keyVersion: fit.number, version: fit.text };

/** Milliseconds for an answer. */
const patience = 15_000;
const most = 1 << 20;

function prerequisite(message: string, details: { expected?: string; found?: string; hint?: string }): ImgtaskError {
  return new ImgtaskError("IMG1009", message, { ...details, exitCode: ExitCode.prerequisite });
}

/** The address, by the names that both programs' own clients read. */
function addressOf(env: SecretContext["env"]): URL {
  const address = env["BAO_ADDR"] ?? env["VAULT_ADDR"] ?? "";
  if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) return new URL(address);
  throw prerequisite("It is not known where Vault is", { expected: "an http: or https: URL in VAULT_ADDR or BAO_ADDR", found: address === "" ? "nothing" : "something else" });
}

/** The token: from the environment, else where a login left it. */
function tokenOf(env: SecretContext["env"]): string {
  const named = env["BAO_TOKEN"] ?? env["VAULT_TOKEN"] ?? "";
  if (named !== "") return named.trim();
  try {
    return readFileSync(join(env["HOME"] ?? "/", ".vault-token"), "utf8").trim();
  } catch {
    throw prerequisite("There is no token for Vault", { expected: "one in VAULT_TOKEN or BAO_TOKEN, or in ~/.vault-token", found: "none", hint: "Log in: vault login" });
  }
}

interface Answer {
  readonly data?: { readonly data?: Readonly<Record<string, unknown>> | null; readonly metadata?: { readonly deletion_time?: string; readonly destroyed?: boolean } };
  readonly errors?: readonly string[];
}

async function ask(url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<{ readonly status: number; readonly answer: Answer }> {
  let response: Response;
  let text: string;
  try {
    // A redirect would take the token elsewhere.
    response = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]) });
    text = await response.text();
  } catch (error) {
    const { cause } = error as { cause?: { code?: string; message?: string } };
    throw new ImgtaskError("IMG5001", `Vault cannot be reached at ${url.origin}`, { found: cause?.code ?? cause?.message ?? (error as Error).message, exitCode: ExitCode.temporary });
  }
  if (response.status === 429 || response.status >= 500) {
    throw new ImgtaskError("IMG5001", `Vault at ${url.origin} cannot answer now`, { found: `status ${response.status}${response.status === 503 ? ": it is sealed, or in maintenance" : ""}`, exitCode: ExitCode.temporary });
  }
  try {
    return { status: response.status, answer: text === "" ? {} : JSON.parse(text.slice(0, most)) as Answer };
  } catch {
    throw prerequisite(`What answers at ${url.origin} is not Vault`, { expected: "JSON", found: `status ${response.status} and something else` });
  }
}

/**
 * One field of a secret in Vault or OpenBao. Address, token and namespace are those of its own command line: `VAULT_ADDR`,
 * `VAULT_TOKEN` (or `~/.vault-token`), `VAULT_NAMESPACE`, or the same with `BAO_`. Certificates of an authority of one's own:
 * `NODE_EXTRA_CA_CERTS`.
 *
 * @param path below the engine: `lab/s3`.
 * @param field key in the secret's data; its value must be a string.
 * @throws {ImgtaskError} IMG2035 for a bad path; when the value is to be used, IMG1007 when there is none, IMG1009 when it
 * is refused, IMG5001 when Vault cannot be reached.
 *
 * @example
 * ```ts
 * target("upload:list", { secrets: { token: vault("lab/upload", "token") }, … });
 * ```
 */
export function vault(path: string, field: string, options: VaultOptions = {}): Secret {
  checkOptions(`vault("${path}")`, options, fits);
  const { mount = "secret", keyVersion, version } = options;
  const bad = [mount, path].find((one) => typeof one !== "string" || !/^[^\x00-\x20/?#][^\x00-\x1f?#]*$/.test(one) || one.split("/").some((part) => part === "" || part === "." || part === ".."));
  if (bad !== undefined || typeof field !== "string" || field === "" || (keyVersion !== undefined && !(Number.isInteger(keyVersion) && keyVersion > 0))) {
    throw new ImgtaskError("IMG2035", `Bad name of a secret: ${JSON.stringify(bad ?? (field === "" ? field : keyVersion))}`, { expected: `a path such as "lab/s3", a field, and a version of 1 or more`, exitCode: ExitCode.usage });
  }
  const encode = (one: string): string => one.split("/").map(encodeURIComponent).join("/");
  const called = `${mount}/${path}#${field}`;
  return secret.manager("Vault", called, async ({ env, signal }) => {
    const url = addressOf(env);
    url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/${encode(mount)}/data/${encode(path)}`;
    if (keyVersion !== undefined) url.searchParams.set("version", String(keyVersion));
    const namespace = env["BAO_NAMESPACE"] ?? env["VAULT_NAMESPACE"] ?? "";
    const { status, answer } = await ask(url, { "x-vault-token": tokenOf(env), "x-vault-request": "true", ...(namespace === "" ? {} : { "x-vault-namespace": namespace }) }, signal);
    if (status === 200 && answer.data?.data != null) {
      const value = Object.hasOwn(answer.data.data, field) ? answer.data.data[field] : undefined;
      if (value === undefined || typeof value === "string") return value;
      throw prerequisite(`Secret "${called}" in Vault is no text`, { expected: "a string", found: typeof value });
    }
    // 404 is: never written, or (with metadata) deleted or destroyed.
    if (status === 404 && answer.data?.metadata === undefined) return undefined;
    const found = status === 404 ? `it was ${answer.data?.metadata?.destroyed === true ? "destroyed" : "deleted"}` : status >= 300 && status < 400 ? "a redirect, which is not followed" : `status ${status}${answer.errors?.[0] === undefined ? "" : `: ${answer.errors[0].slice(0, 200)}`}`;
    throw prerequisite(`Vault gave no secret "${called}"`, { expected: "a version that is there, and a token that may read it", found, hint: `Try it: vault kv get -mount=${mount} -field=${field} ${path}` });
  }, keyVersion === undefined && version === undefined ? {} : { version: [keyVersion, version].filter((one) => one !== undefined).join(" ") });
}
