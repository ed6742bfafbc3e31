/**
 * What was built and published, looked at with tools that are not ours: every file by all those that know its kind. A file
 * that none of them knows is an error, so that nothing is published that nobody has looked at.
 * Knows names of files and what published documents are; nothing of how they were made.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { envelopeSchema, statementSchema } from "./in-toto-schema.ts";

interface Where {
  /** File with minisign's public key. */
  readonly publicKey: string;
  /** An empty directory for what is taken out of files. */
  readonly scratch: string;
}

/** One tool, and the files that it can judge. */
interface Look {
  readonly tool: string;
  /** Fits the path, from the name of the directory that is looked at. */
  readonly files: RegExp;
  /** Throws when the tool refuses; gives `false` when it is not at hand. */
  readonly look: (path: string, where: Where) => unknown;
}

/** Runs a command, which must succeed; what it printed. */
function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 28, env: { ...process.env, LC_ALL: "C.UTF-8", PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` } });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${error?.message ?? ""}${stdout}${stderr}`.slice(-3000));
  return stdout;
}

/** Takes a file out of an ISO by isoinfo, which is none of the tools that made it. */
export function fromIso(iso: string, path: string): string {
  return run("isoinfo", "-R", "-i", iso, "-x", path);
}

type Ajv = new (options: object) => { compile(schema: unknown): ((data: unknown) => boolean) & { readonly errors?: unknown } };
const { default: Ajv } = createRequire(import.meta.url)("ajv") as { default: Ajv };

/** Asks a JSON-schema validator. */
function valid(schema: unknown, data: unknown, what: string): void {
  const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
  assert.ok(validate(data), `${what}: ${JSON.stringify(validate.errors).slice(0, 2000)}`);
}

const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
const envelopes = (path: string): readonly { readonly payload: string; readonly payloadType: string; readonly signatures: readonly { readonly sig: string }[] }[] =>
  readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line) as never);

/** A signature over what DSSE says is signed, by openssl. */
function opensslVerifies(path: string, { publicKey, scratch }: Where): void {
  const raw = Buffer.from(readFileSync(publicKey, "utf8").split("\n")[1]!, "base64").subarray(10);
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  for (const { payload, payloadType, signatures } of envelopes(path)) {
    const bytes = Buffer.from(payload, "base64"), signature = Buffer.from(signatures[0]!.sig, "base64");
    const signed = Buffer.concat([Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${bytes.length} `), bytes]);
    for (const [name, content] of [["signed", signed], ["sig", signature], ["key", der]] as const) writeFileSync(join(scratch, name), content);
    run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", join(scratch, "key"), "-keyform", "DER", "-rawin", "-in", join(scratch, "signed"), "-sigfile", join(scratch, "sig"));
    assert.ok(!verify(null, signed.subarray(1), createPublicKey({ key: der, format: "der", type: "spki" }), signature), "a signature of anything");
  }
}

/** The files of an appliance: descriptor, list and disk. */
function appliance(path: string, { scratch }: Where): void {
  run("tar", "-xf", path, "-C", scratch);
  const names = readdirSync(scratch);
  const list = names.find((name) => name.endsWith(".mf"))!, disk = names.find((name) => name.endsWith(".vmdk"))!;
  writeFileSync(join(scratch, "sums"), readFileSync(join(scratch, list), "utf8").replaceAll(/^SHA256\((.+)\)= ([0-9a-f]{64})$/gm, "$2  $1"));
  execFileSync("sha256sum", ["--check", "--strict", "--quiet", "sums"], { cwd: scratch });
  run("qemu-img", "check", "-f", "vmdk", join(scratch, disk));
  run("python3", "-c", "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])", join(scratch, names.find((name) => name.endsWith(".ovf"))!));
}

/** Every artifact in a manifest is the file beside it: sizes by stat, digests by sha256sum. */
function manifestAgrees(path: string): void {
  const { artifacts } = json(path) as { readonly artifacts: readonly { readonly name: string; readonly size: number; readonly sha256: string; readonly documents: readonly { readonly name: string }[] }[] };
  assert.ok(artifacts.length > 0);
  for (const { name, size, sha256, documents } of artifacts) {
    const file = join(dirname(path), name);
    assert.equal(run("stat", "-c", "%s", file).trim(), String(size), name);
    assert.equal(run("sha256sum", file).slice(0, 64), sha256, name);
    for (const document of documents) assert.ok(existsSync(join(dirname(path), document.name)), document.name);
  }
}

const installer = /(^|\/)iso[-/][^/]+\.iso$/;
const seed = /(^|\/)seed[-/][^/]+\.iso$/;

/** Bytes of the disks' virtual size. */
function virtualSize(path: string, format: string): number {
  run("qemu-img", "check", "-f", format, path);
  const info = JSON.parse(run("qemu-img", "info", "--output=json", "-f", format, path)) as { readonly format: string; readonly "virtual-size": number; readonly "backing-filename"?: string };
  assert.equal(info.format, format);
  assert.equal(info["backing-filename"], undefined);
  return info["virtual-size"];
}

const looks: readonly Look[] = [
  {
    tool: "xorriso", files: installer, look: (path) => {
      const boot = run("xorriso", "-indev", path, "-report_el_torito", "plain");
      assert.match(boot, /El Torito boot img\s*:\s*1\s+BIOS/, path);
      assert.match(boot, /El Torito boot img\s*:\s*2\s+UEFI/, path);
    },
  },
  {
    tool: "isoinfo", files: installer, look: (path) => {
      const said = run("isoinfo", "-d", "-i", path);
      assert.match(said, /^El Torito VD version 1 found/m, path);
      assert.match(said, /^Rock Ridge signatures version 1 found/m, path);
    },
  },
  { tool: "checkisomd5", files: installer, look: (path) => run("checkisomd5", path) },
  { tool: "cloud-init", files: /(^|\/)(seed|iso)[-/](lab|ubuntu)\.iso$/, look: (path, { scratch }) => {
    const file = join(scratch, "user-data");
    writeFileSync(file, fromIso(path, seed.test(path) ? "/user-data" : "/nocloud/user-data"));
    run("cloud-init", "schema", "--config-file", file);
  } },
  { tool: "isoinfo", files: seed, look: (path) => assert.match(run("isoinfo", "-d", "-i", path), /^Volume id: CIDATA$/m) },
  { tool: "qemu-img", files: /\.qcow2$/, look: (path) => assert.equal(virtualSize(path, "qcow2"), 80 * 2 ** 30) },
  { tool: "qemu-img", files: /\.vmdk$/, look: (path) => assert.equal(virtualSize(path, "vmdk"), 80 * 2 ** 30) },
  { tool: "tar, sha256sum, qemu-img and an XML parser", files: /\.ova$/, look: appliance },
  { tool: "sha256sum", files: /(^|\/)SHA256SUMS$/, look: (path) => execFileSync("sha256sum", ["--check", "--strict", "--quiet", "SHA256SUMS"], { cwd: dirname(path) }) },
  { tool: "minisign", files: /\.minisig$/, look: (path, { publicKey }) => run("minisign", "-V", "-q", "-p", publicKey, "-m", path.slice(0, -8)) },
  {
    tool: "ajv with CycloneDX's schema", files: /\.cdx\.json$/, look: async (path) => assert.equal(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(readFileSync(path, "utf8")), null),
  },
  {
    tool: "ajv with SPDX's schema", files: /\.spdx\.json$/, look: (path) => {
      const schema = process.env["IMGTASK_TEST_SPDX_SCHEMA"];
      if (schema === undefined) return false;
      valid(json(schema), json(path), basename(path));
    },
  },
  { tool: "a JSON parser", files: /\.spdx\.json$/, look: (path) => run("python3", "-m", "json.tool", path) },
  { tool: "openssl", files: /\.intoto\.jsonl$/, look: opensslVerifies },
  {
    tool: "ajv with the rules of DSSE and in-toto", files: /\.intoto\.jsonl$/, look: (path) => {
      for (const envelope of envelopes(path)) {
        valid(envelopeSchema, envelope, basename(path));
        valid(statementSchema, JSON.parse(Buffer.from(envelope.payload, "base64").toString()), basename(path));
      }
    },
  },
  { tool: "stat and sha256sum", files: /(^|\/)manifest\.json$/, look: manifestAgrees },
  {
    tool: "an XML parser", files: /\/junit\.xml$/, look: (path) => {
      const counted = run("python3", "-c", "import sys, xml.etree.ElementTree as E; r = E.parse(sys.argv[1]).getroot(); print(len(list(r.iter('testcase'))), len(list(r.iter('failure'))) + len(list(r.iter('error'))) + len(list(r.iter('skipped'))))", path);
      assert.match(counted, /^[1-9]\d* 0$/m, path);
    },
  },
  { tool: "file", files: /\/screen\.png$/, look: (path) => assert.match(run("file", "--brief", path), /^PNG image data, \d+ x \d+/) },
  { tool: "grep", files: /\/console\.log$/, look: (path) => run("grep", "--text", "--quiet", "--extended-regexp", "Linux version|RIG done|login:", path) },
];

/**
 * Looks at every file below a directory.
 *
 * @returns how many files each tool accepted.
 */
export async function lookAtAll(directory: string, publicKey: string): Promise<ReadonlyMap<string, number>> {
  const accepted = new Map<string, number>();
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) => statSync(join(directory, path)).isFile()).sort();
  assert.ok(files.length > 0, directory);
  for (const path of files) {
    const knowing = looks.filter((one) => one.files.test(`${basename(directory)}/${path}`));
    assert.ok(knowing.length > 0, `nobody looks at ${path}`);
    for (const { tool, look } of knowing) {
      const scratch = mkdtempSync(join(tmpdir(), "imgtask-look-"));
      try {
        if (await look(join(directory, path), { publicKey, scratch }) !== false) accepted.set(tool, (accepted.get(tool) ?? 0) + 1);
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    }
  }
  return accepted;
}

/** A directory in a store of results: paths of its files by their names there. */
type Tree = ReadonlyMap<string, string>;

/** The directories that a store lists. */
function treesOf(store: string): readonly Tree[] {
  return readdirSync(store, { recursive: true, encoding: "utf8" }).map((path) => join(store, path)).filter((path) => statSync(path).isFile() && statSync(path).size < 1 << 20).flatMap((path) => {
    const text = readFileSync(path, "latin1");
    if (!text.startsWith('{"entries":[')) return [];
    const { entries } = JSON.parse(text) as { readonly entries: readonly { readonly path: string; readonly digest?: string }[] };
    return [new Map(entries.flatMap(({ path: name, digest }) => (digest === undefined ? [] : [[name, join(store, digest.slice(0, 2), digest.slice(2))] as const])))];
  });
}

/**
 * Follows every download in a store from the signature to the image: gpgv accepts the list by the vendor's key alone, and
 * sha256sum the image by the list. Of a package the list is `InRelease`, and the index that it vouches for is between.
 *
 * @returns what was proven, as `ubuntu-24.04.3-live-server-amd64.iso`.
 */
export function proveDownloads(store: string, keys: { readonly images: string; readonly packages: string }): readonly string[] {
  const scratch = mkdtempSync(join(tmpdir(), "imgtask-lists-"));
  const digest = (path: string): string => run("sha256sum", path).slice(0, 64);
  const proven: string[] = [];
  try {
    for (const tree of treesOf(store)) {
      const list = tree.get("list"), signature = tree.get("list.signature"), image = tree.get("image.iso"), release = tree.get("InRelease");
      if (list !== undefined && signature !== undefined && image !== undefined) {
        run("gpgv", "--quiet", "--keyring", keys.images, signature, list);
        const { name } = json(tree.get("origin.json")!) as { readonly name: string };
        symlinkSync(image, join(scratch, name));
        assert.equal(execFileSync("sha256sum", ["--check", "--strict", "--ignore-missing", list], { cwd: scratch, encoding: "utf8" }), `${name}: OK\n`);
        proven.push(name);
      } else if (release !== undefined) {
        const text = join(scratch, "Release");
        run("gpgv", "--quiet", "--keyring", keys.packages, "--output", text, release);
        const index = tree.get("Packages.xz")!, file = tree.get("package.deb")!, wanted = `\nSHA256: ${digest(file)}`;
        assert.ok(readFileSync(text, "utf8").includes(` ${digest(index)} `), "the list vouches for the index");
        const entry = run("xz", "--decompress", "--stdout", index).split("\n\n").find((one) => one.includes(wanted));
        proven.push(/^Package: (.*)$/m.exec(entry ?? "")?.[1] ?? "a package that the index does not have");
        assert.equal(run("dpkg-deb", "--field", file, "Package").trim(), proven.at(-1));
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return proven.sort();
}

/** Counted figures for people. */
export function counted(accepted: ReadonlyMap<string, number>): string {
  return [...accepted].sort().map(([tool, count]) => `${tool} ${count}`).join(", ");
}
