/**
 * The example of the whole workflow as a project of its own, with vendors' servers on the loopback: ISOs of their shapes,
 * lists and signatures of their forms. Debian's packages come from the real archive. What is changed of the example is
 * whom it trusts, since vendors' keys cannot sign what is made here, and that boots of those installers that cannot run
 * here go on until the medium has shown the answers that are on it.
 * @module
 */
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { type Finished, repository, TestProject } from "./project.ts";
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
  readonly #media: string;

  private constructor(project: TestProject, server: VendorServer, media: string) {
    this.project = project;
    this.server = server;
    this.publicKey = project.path("keys/release.pub");
    this.#media = media;
  }

  /** @param more appended to the imagefile. */
  static async create({ more = "" }: { readonly more?: string } = {}): Promise<Workflow> {
    const media = mkdtempSync(join(tmpdir(), "imgtask-vendors-"));
    const isos = new VendorIsos(media);
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
    project.write("imagefile.ts", text);
    if (more !== "") appendFileSync(project.path("imagefile.ts"), `\n${more}\n`);
    mkdirSync(project.path("keys"));
    execFileSync("minisign", ["-G", "-W", "-p", project.path("keys/release.pub"), "-s", project.path("release.key")], { stdio: "ignore" });
    return new Workflow(project, server, media);
  }

  /** Runs targets to their end. */
  run(...targets: readonly string[]): Promise<Finished> {
    return this.project.start(["run", "--reporter", "plain", ...targets], { env: this.server.env, timeout: 170 * 60_000 }).finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    this.project.eject();
    rmSync(this.#media, { recursive: true, force: true });
  }
}
