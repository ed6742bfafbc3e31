/**
 * Secrets from `pass`, the standard password manager (https://www.passwordstore.org). Knows nothing of who uses them.
 * @module
 */
import { checkOptions, ExitCode, fit, type Fits, ImgtaskError, type Secret, secret, type SecretOptions } from "../../lib/mod.ts";

/** What `pass()` takes beside the name. */
export interface PassOptions extends SecretOptions {
  /** The value of the line `KEY: value` below the first. @default the first line, the password itself */
  readonly field?: string;
}

const fits: Fits<PassOptions> = { field: fit.text, version: fit.text };

/**
 * A secret in the password store: the first line of an entry, or one of its fields. The store is the one that `pass`
 * itself uses, with `PASSWORD_STORE_DIR`, `GNUPGHOME` and gpg-agent as they are set for the user who runs imgtask. In CI, a
 * key without a passphrase, or a primed agent, is needed: nothing is asked of a person.
 *
 * @param name of the entry: `lab/s3`.
 * @throws {ImgtaskError} IMG2035 for a bad name; when the value is to be used, IMG1007 when there is none, IMG1009 when
 * `pass` fails.
 *
 * @example
 * ```ts
 * target("upload:list", { secrets: { token: pass("lab/upload") }, … });
 * ```
 */
export function pass(name: string, options: PassOptions = {}): Secret {
  checkOptions(`pass("${name}")`, options, fits);
  // A leading dash would be an option, and ".." leads out of the store (pass refuses the latter itself).
  const good = typeof name === "string" && /^[^-\s/][^\x00-\x1f]*$/.test(name) && !name.split("/").includes("..");
  if (!good || options.field?.trim() === "") {
    throw new ImgtaskError("IMG2035", `Bad name of a secret: ${JSON.stringify(good ? options.field : name)}`, { expected: good ? "the name of a field" : `an entry of the password store, such as "lab/s3"`, exitCode: ExitCode.usage });
  }
  const { field, version } = options;
  return secret.manager("pass", field === undefined ? name : `${name} (${field})`, async ({ exec }) => {
    // Its messages are for people, and translated; what it prints on failure holds no secret, but goes nowhere all the same.
    const { code, stdout } = await exec(["pass", "show", name], { LC_ALL: "C.UTF-8", GPG_TTY: undefined });
    if (code !== 0) {
      throw new ImgtaskError("IMG1009", `"pass" gave no secret "${name}"`, {
        expected: "an entry that the user can decrypt without being asked",
        found: code === 127 ? "a pass that is not there, or cannot be started" : `exit code ${code}`,
        hint: `Try it: pass show ${/^[A-Za-z0-9._/@-]+$/.test(name) ? name : JSON.stringify(name)}`,
        exitCode: ExitCode.prerequisite,
      });
    }
    const [first = "", ...rest] = stdout.split(/\r?\n/);
    if (field === undefined) return first === "" ? undefined : first;
    const line = rest.find((one) => one.slice(0, one.indexOf(":")).trim() === field);
    return line?.slice(line.indexOf(":") + 1).trim();
  }, version === undefined ? {} : { version });
}
