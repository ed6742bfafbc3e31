/**
 * A small vendor of ISO images for tests that attack it: an image, a list, a signature and keys as files of a server, made by
 * the real gpg and minisign, and download and verify run on them. Knows nothing of single attacks.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ChecksumList, type ImageMedia, ImgtaskError, type Keyring } from "../../../lib/mod.ts";
import { download } from "../../../plugins/download/download.ts";
import { type ImageManifest, verify } from "../../../plugins/verify/verify.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { serve, type TestServer } from "../download/server.ts";
import { type Keys, makeKeys, noise } from "./archive.ts";

export const base: string = mkdtempSync(join(tmpdir(), "imgtask-hostile-"));
export const keys: Keys = makeKeys(base);
const in2020 = { time: "20200101T000000" };
/** Fingerprints. */
export const pinned: string = keys.make("Vendor", in2020), other: string = keys.make("Other"), expired: string = keys.make("Expired", { ...in2020, expire: "1y" });
export const revoked: string = keys.make("Revoked", in2020), rsa: string = keys.make("Old", { algorithm: "rsa2048" });
/** Somebody else with a key of the same name. */
export const stranger: Keys = makeKeys(base);
stranger.make("Vendor");
/** Arguments that let gpg sign at another time: `20200601T000000`. */
export const at = (time: string): readonly string[] => ["--faked-system-time", `${time}!`];

export const image: Buffer = noise(200_000, "image"), evil: Buffer = noise(200_000, "evil");
export const hex = (bytes: Buffer | string, algorithm = "sha256"): string => createHash(algorithm).update(bytes).digest("hex");
export const imageName = "vendor-1.2-install.iso";

const signatures = { detached: { kind: "detached", file: "SUMS.sig" }, clearsigned: { kind: "clearsigned" }, minisign: { kind: "minisign", file: "SUMS.minisig" }, none: { kind: "none" } } as const;
/** Ways in which a list is signed. */
export type How = keyof typeof signatures;

/** minisign's keys: files `NAME.pub` and `NAME.key`. */
const minisignKeys = new Map<string, { readonly key: string; readonly text: string }>();
export function minisignKey(name: string): { readonly key: string; readonly text: string } {
  let made = minisignKeys.get(name);
  if (made === undefined) {
    const [pub, key] = [join(base, `${name}.pub`), join(base, `${name}.key`)];
    execFileSync("minisign", ["-G", "-W", "-p", pub, "-s", key], { stdio: ["ignore", "ignore", "inherit"] });
    minisignKeys.set(name, (made = { key, text: readFileSync(pub, "utf8").split("\n")[1]! }));
  }
  return made;
}

/** A minisign signature by the real program, of bytes under a file name. */
export function minisign(bytes: Buffer | string, { key = "vendor", name = "SUMS", args = [] }: { readonly key?: string; readonly name?: string; readonly args?: readonly string[] } = {}): string {
  const directory = mkdtempSync(join(base, "minisign-"));
  writeFileSync(join(directory, name), bytes);
  execFileSync("minisign", ["-S", "-s", minisignKey(key).key, "-m", name, "-x", "signature", ...args], { cwd: directory, stdio: "ignore" });
  return readFileSync(join(directory, "signature"), "utf8");
}

/** A detached signature by the real gpg. */
export function detach(text: Buffer | string, signers: readonly string[] = [pinned], args: readonly string[] = []): Buffer {
  return keys.gpg([...args, ...signers.flatMap((key) => ["--local-user", key]), "--detach-sign"], text);
}

/** What a case may change. */
export interface Attack {
  /** @default "detached" */
  readonly how?: How;
  readonly form?: ChecksumList["form"];
  readonly algorithm?: ChecksumList["algorithm"];
  /** The list that is signed. @default one with the image and another file */
  readonly text?: string;
  /** @default the pinned key */
  readonly signers?: readonly string[];
  readonly signArgs?: readonly string[];
  /** Changes what the server has, after signing. Paths: `r/SUMS`, `r/SUMS.sig`, `r/vendor-1.2-install.iso`, `keys`. */
  readonly files?: (files: Map<string, Buffer>) => void;
  readonly behave?: (server: TestServer) => void;
  readonly media?: Partial<ImageMedia>;
  readonly trust?: Partial<Keyring>;
  /** Content of `imgtask.lock`, but for its version. */
  readonly lock?: object;
  /** Changes the downloaded tree before it is verified. */
  readonly between?: (tree: string) => void;
}

/** What came of it. */
export interface Outcome {
  readonly error?: ImgtaskError;
  readonly manifest?: ImageManifest;
  /** The image that `verify` put out. */
  readonly out?: Buffer;
  /** What stands at final paths of download and verify. */
  readonly left: readonly string[];
  readonly log: string;
}

export const gnu = (...entries: readonly (readonly [string, Buffer | string])[]): string => entries.map(([name, bytes]) => `${hex(bytes)}  ${name}\n`).join("");
export const list: string = gnu(["vendor-1.2-other.iso", "other"], [imageName, image]);

function filesOf(attack: Attack): Map<string, Buffer> {
  const { how = "detached", text = list, signers = [pinned], signArgs = [] } = attack;
  const files = new Map<string, Buffer>([[`r/${imageName}`, image], ["r/SUMS", Buffer.from(text)], ["keys", keys.gpg(["--export", pinned])]]);
  if (how === "detached") files.set("r/SUMS.sig", detach(text, signers, signArgs));
  else if (how === "clearsigned") files.set("r/SUMS", Buffer.from(keys.clearsign(text, signers, signArgs)));
  else if (how === "minisign") files.set("r/SUMS.minisig", Buffer.from(minisign(text)));
  attack.files?.(files);
  return files;
}

let count = 0;

/** Downloads and verifies. */
export async function run(attack: Attack): Promise<Outcome> {
  const { how = "detached", form = "gnu", algorithm = "sha256" } = attack;
  const name = `hostile${count++}`;
  const temporary = join(base, name);
  mkdirSync(temporary);
  const server = await serve(filesOf(attack));
  attack.behave?.(server);
  const keyring: Keyring = { keys: [{ fingerprint: pinned }], minisign: [minisignKey("vendor").text], ...attack.trust };
  const media: ImageMedia = {
    kind: "iso", id: "vendor-1", distro: "vendor", release: "1", arch: "x86_64", answers: "preseed", edition: "install", layout: "debian-cd", limit: 1_000_000,
    image: { name: "vendor-{version}-install.iso", version: "1" },
    source: { kind: "mirror", env: "IMGTASK_TEST_MIRROR", mirrors: [server.url], directory: "r", list: { file: "SUMS", form, algorithm, signature: signatures[how] } },
    keys: { ...keyring, url: `${server.url}/keys` },
    ...attack.media,
  };
  verify(name, { media: download(name, media), trust: keyring });
  const saved = process.env["TMPDIR"], complain = console.error;
  process.env["TMPDIR"] = temporary;
  console.error = () => {}; // The rig prints logs of failures, which are expected here.
  const options = { prepare: (project: string) => (attack.lock === undefined ? undefined : writeFileSync(join(project, "imgtask.lock"), JSON.stringify({ version: 1, ...attack.lock }))) };
  let error: ImgtaskError | undefined, manifest: ImageManifest | undefined, out: Buffer | undefined;
  try {
    const tree = (await runRecipe(`download:${name}`, {}, options)).outputs["out"]!;
    attack.between?.(tree);
    const verified = (await runRecipe(`verify:${name}`, { "inputs.media": tree }, options)).outputs["out"]!;
    manifest = JSON.parse(readFileSync(join(verified, "media.json"), "utf8")) as ImageManifest;
    out = readFileSync(join(verified, "media.iso"));
  } catch (thrown) {
    if (!(thrown instanceof ImgtaskError)) throw thrown;
    error = thrown;
  } finally {
    process.env["TMPDIR"] = saved ?? "";
    if (saved === undefined) delete process.env["TMPDIR"];
    console.error = complain;
    await server.close();
  }
  // A download that succeeded stands there, unverified by type and name; verify's own place is the last one.
  const runs = readdirSync(temporary).filter((one) => one.startsWith("imgtask-recipe-"));
  const left = runs.flatMap((one) => {
    const place = join(temporary, one, "out/out");
    return existsSync(place) ? readdirSync(place) : [];
  }).filter((file) => error === undefined || !["image.iso", "list", "list.signature", "keys", "origin.json"].includes(file));
  const log = runs.map((one) => join(temporary, one, "project/logs")).filter((one) => existsSync(one)).map((one) => readFileSync(join(one, readdirSync(one)[0]!), "utf8")).join("");
  rmSync(temporary, { recursive: true, force: true });
  return { left, log, ...(error === undefined ? {} : { error }), ...(manifest === undefined ? {} : { manifest }), ...(out === undefined ? {} : { out }) };
}

/** Ends the agent and removes all. */
export function dispose(): void {
  keys.dispose();
  stranger.dispose();
  rmSync(base, { recursive: true, force: true });
}
