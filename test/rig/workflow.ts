/**
 * The example of the whole workflow as a project of its own, with vendors' servers on the loopback: ISOs of their shapes,
 * lists and signatures of their forms. Debian's packages come from the real archive, the bucket is one of a real object
 * storage. What is changed of the example is whom it trusts, since vendors' keys cannot sign what is made here, where its
 * bucket is, and that boots of those installers that cannot run here go on until the medium has shown the answers that
 * are on it.
 * @module
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { type Finished, repository, TestProject } from "./project.ts";
import { startSwift, type Swift, swiftMissing } from "./swift.ts";
import { VendorIsos } from "./vendor-iso.ts";
import { type VendorServer, vendorServer } from "./vendor-server.ts";

/** Replaces what must be there. */
function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the example has no ${JSON.stringify(from)}`);
  return text.replaceAll(from, to);
}

/** Where the answers are on the media of installers that cannot run here. */
const answers: Readonly<Record<string, string>> = { ubuntu: "nocloud/user-data", rocky: "ks.cfg" };

/** The example, ready to be run. */
export class Workflow implements AsyncDisposable {
  readonly project: TestProject;
  readonly server: VendorServer;
  /** Public half of the key that signs what is published. */
  readonly publicKey: string;
  /** Object storage with the example's bucket; none where {@linkcode swiftMissing} says why. */
  readonly storage: Swift | undefined;
  readonly #scratch: string;

  private constructor(project: TestProject, server: VendorServer, storage: Swift | undefined, scratch: string) {
    this.project = project;
    this.server = server;
    this.storage = storage;
    this.publicKey = project.path("keys/release.pub");
    this.#scratch = scratch;
  }

  /** @param more appended to the imagefile. */
  static async create({ more = "" }: { readonly more?: string } = {}): Promise<Workflow> {
    const scratch = mkdtempSync(join(tmpdir(), "imgtask-vendors-"));
    for (const name of ["media", "storage"]) mkdirSync(join(scratch, name));
    const storage = swiftMissing() === undefined ? await startSwift(join(scratch, "storage")) : undefined;
    const isos = new VendorIsos(join(scratch, "media"));
    const server = await vendorServer([
      { vendor: "ubuntu", iso: isos.iso("ubuntu") },
      { vendor: "rocky", iso: isos.iso("el9") },
      { vendor: "kali", iso: isos.iso("debian") },
    ]);
    const project = new TestProject();
    cpSync(join(repository, "examples/workflow"), project.directory, { recursive: true, filter: (path) => !/\/(?:\.imgtask|artifacts|workspaces|logs|attestations)$/.test(path) });
    let text = project.read("imagefile.ts");
    for (const vendor of ["ubuntu", "rocky", "kali"]) text = replaced(text, `trust: ${vendor}.keys`, `trust: ${JSON.stringify({ keys: server.trust.keys })}`);
    for (const [vendor, path] of Object.entries(answers)) text = replaced(text, `console: [told.${vendor}]`, `console: [told.${vendor}, ${new RegExp(`RIG file: [0-9a-f]{64} {2}/rig/${path}`)}]`);
    text = `${text}\n${more}\n`;
    if (storage !== undefined) {
      const reached = { endpoint: storage.endpoint, conditional: false, checksums: false };
      text = replaced(text, `s3({ bucket: "${storage.bucket}", `, `s3({ ...${JSON.stringify(reached)}, bucket: "${storage.bucket}", `);
    }
    project.write("imagefile.ts", text);
    mkdirSync(project.path("keys"));
    execFileSync("minisign", ["-G", "-W", "-p", project.path("keys/release.pub"), "-s", project.path("release.key")], { stdio: "ignore" });
    return new Workflow(project, server, storage, scratch);
  }

  /** Runs targets to their end. */
  run(...targets: readonly string[]): Promise<Finished> {
    const keys = this.storage === undefined ? {} : { AWS_ACCESS_KEY_ID: this.storage.accessKeyId, AWS_SECRET_ACCESS_KEY: this.storage.secretAccessKey };
    const env = { ...this.server.env, ...keys };
    return this.project.start(["run", "--reporter", "plain", ...targets], { env, timeout: 170 * 60_000 }).finished;
  }

  /** Fetches what is in the bucket, by a client that is not ours; gives the directory. */
  fetch(prefix: string): string {
    const to = join(this.#scratch, "fetched");
    rmSync(to, { recursive: true, force: true });
    mkdirSync(to);
    this.storage!.s3cmd("get", "--recursive", `s3://${this.storage!.bucket}/${prefix}`, `${to}/`);
    return to;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage?.stop();
    await this.server.close();
    this.project.eject();
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}
