/**
 * Whose results are believed and who signs new ones, as the environment has it. Loaded only where signed results are
 * asked for. Knows nothing of what a result says.
 * @module
 */
import { lstatSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { bug, ExitCode, ImgtaskError } from "./error.ts";
import { prehash } from "./minisign.ts";
import { bytesOf, idOf, type LockedKey, parsePublicKey, parseSecretKey, type PublicKey, type SecretKey } from "./minisign-key.ts";
import { putAside as putKeysAside, vouchFor } from "./private-keys.ts";
import type { Project } from "./project.ts";
import type { Producer, Trust } from "./record.ts";

/** Trust in some keys. */
export interface KeyTrust extends Trust {
  readonly keys: readonly PublicKey[];
  /** Whether this run has a key to sign with. */
  readonly signs: boolean;
}

/** Keeps signatures of results apart from those of anything else, and of another meaning. */
const purpose = "imgtask result 1";

/** What is signed: each part behind its length in bytes, so that no part can pass for another. */
function statement(key: string, body: string): Buffer {
  return prehash(Buffer.from([purpose, key, body].map((part) => `${Buffer.byteLength(part)}:${part}`).join("")));
}

function refuse(code: string, message: string, details: { readonly expected?: string; readonly found?: string; readonly hint?: string; readonly cause?: unknown }): never {
  throw new ImgtaskError(code, message, { ...details, exitCode: ExitCode.usage });
}

/** Content of a file that a variable names. A file of the project could be edited by whom it is to keep out. */
function contentOf(variable: string, value: string, project: Project): string {
  try {
    const path = realpathSync(resolve(value));
    if (`${path}/`.startsWith(`${realpathSync(project.directory)}/`)) {
      refuse("IMG2031", `The file that ${variable} names lies within the project`, { expected: "a file that nobody can change by a change of the project, or the keys themselves", found: path });
    }
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof ImgtaskError) throw error;
    // The value may be a key that was cut or mistyped: it is not shown.
    refuse("IMG2030", `${variable} names no file that can be read`, { expected: "the path of a file, or keys as minisign writes them", found: (error as NodeJS.ErrnoException).code ?? "something else" });
  }
}

/** Public keys, between commas, spaces or lines; comments stand in lines of their own. */
function publicKeys(text: string): readonly PublicKey[] {
  const lines = text.split("\n").filter((line) => !/^(?:untrusted comment:|#)/.test(line));
  return lines.flatMap((line) => line.split(/[\s,]+/)).filter((word) => word !== "").map(parsePublicKey);
}

function trustedKeys(value: string, project: Project): readonly PublicKey[] {
  const keys = publicKeys(/^(?:\s*RW[A-Za-z0-9+/]{54}(?:[\s,]|$)|untrusted comment:)/.test(value) ? value : contentOf("IMGTASK_TRUSTED_RESULTS", value, project));
  if (keys.length === 0) refuse("IMG2030", "IMGTASK_TRUSTED_RESULTS names no key", { expected: "public keys as minisign writes them, or a file with some", hint: "Leave the variable unset to take everybody's results" });
  return keys;
}

class Keys implements KeyTrust {
  readonly keys: readonly PublicKey[];
  readonly #locked: LockedKey | undefined;
  readonly #password: string | undefined;
  readonly #builder: string | undefined;
  readonly #state: string;
  #unlocking: Promise<void> | undefined;
  #key: SecretKey | undefined;

  constructor(keys: readonly PublicKey[], locked: LockedKey | undefined, password: string | undefined, builder: string | undefined, state: string) {
    this.keys = keys;
    this.#locked = locked;
    this.#password = password;
    this.#builder = builder;
    this.#state = state;
  }

  get signs(): boolean {
    return this.#locked !== undefined;
  }

  believes(body: string, signature: string, producer: Producer): boolean {
    const bytes = bytesOf(signature, 74);
    if (bytes === undefined || bytes.toString("latin1", 0, 2) !== "ED") return false;
    const id = idOf(bytes.subarray(2, 10));
    if (id !== producer.key) return false;
    return this.keys.some((key) => key.id === id && key.verifies(statement(id, body), bytes.subarray(10)));
  }

  ready(): Promise<void> {
    return (this.#unlocking ??= this.#unlock());
  }

  async #unlock(): Promise<void> {
    const key = await this.#locked?.unlock(this.#password);
    if (key !== undefined && !this.keys.some(({ text }) => text === key.publicKey.text)) {
      refuse("IMG2032", "The key that signs results is not among those that are trusted", {
        expected: this.keys.map(({ text }) => text).join(", "),
        found: key.publicKey.text,
        hint: "Add it to IMGTASK_TRUSTED_RESULTS, or sign with another: this run would not believe its own results",
      });
    }
    this.#key = key;
  }

  get producer(): Producer | undefined {
    if (this.#locked === undefined) return undefined;
    if (this.#key === undefined) throw bug("a result before its key");
    return { key: this.#key.id, ...(this.#builder === undefined ? {} : { builder: this.#builder }) };
  }

  sign(body: string): string {
    // A private key that the result goes with is signed before it: killed in between, nothing is lost.
    vouchFor(this.#state, this.#key!);
    const { id } = this.#key!;
    return Buffer.concat([Buffer.from("ED"), Buffer.from(id, "hex").reverse(), this.#key!.sign(statement(id, body))]).toString("base64");
  }
}

const known = new WeakMap<object, KeyTrust>();

/**
 * Reads whom to trust and what to sign with. Takes the secret key and its password out of the environment: what runs
 * later in this process need not know them.
 *
 * @throws {ImgtaskError} IMG2028 … IMG2032
 */
export function readTrust(project: Project, env: NodeJS.ProcessEnv): KeyTrust {
  const before = known.get(env);
  if (before !== undefined) return before;
  const { IMGTASK_TRUSTED_RESULTS: trusted = "", IMGTASK_RESULT_KEY: secret = "", IMGTASK_RESULT_KEY_PASSWORD: password, IMGTASK_BUILDER: builder = "" } = env;
  delete env["IMGTASK_RESULT_KEY"];
  delete env["IMGTASK_RESULT_KEY_PASSWORD"];
  if (trusted === "") {
    refuse("IMG2032", "A key to sign results with, and nobody whose results are trusted", {
      expected: "public keys in IMGTASK_TRUSTED_RESULTS, that of the key in IMGTASK_RESULT_KEY among them",
      hint: "Results are made of other results: signing what anybody may have made would vouch for it",
    });
  }
  const keys = trustedKeys(trusted, project);
  const locked = secret === "" ? undefined : parseSecretKey((/^(?:untrusted comment:|RW[A-Za-z0-9+/=]{200,}\s*$)/.test(secret) ? secret : contentOf("IMGTASK_RESULT_KEY", secret, project)).trimEnd());
  const trust = new Keys(keys, locked, password, builder === "" ? undefined : builder.slice(0, 200), project.state);
  known.set(env, trust);
  return trust;
}

/** Moves private keys that nobody trusted has signed out of the way, and tells their names. Under the lock. */
export function putAside(project: Project, env: NodeJS.ProcessEnv): readonly string[] {
  return putKeysAside(project.state, readTrust(project, env).keys);
}

/** What imgtask itself writes to in the state directory. */
const written = ["records", "records.new", "lock", ".gitignore", "store", "logs", "tmp", "keys", "recipes"] as const;

/**
 * Removes what others may have put into the state directory to lead imgtask's writing and removing elsewhere: links
 * and the like in the place of its files and directories, and of the directories in those.
 */
export function sweep(state: string): void {
  for (const name of written) {
    const path = join(state, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || stat.isFile()) continue;
    if (!stat.isDirectory()) rmSync(path);
    else for (const entry of readdirSync(path, { withFileTypes: true })) if (!entry.isFile() && !entry.isDirectory()) rmSync(join(path, entry.name));
  }
}
