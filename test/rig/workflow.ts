/**
 * The example of the whole workflow as a project of its own, with vendors' servers on the loopback: ISOs of their shapes,
 * lists and signatures of their forms. Debian's packages come from the real archive. All that is changed of the example is
 * whom it trusts, since vendors' keys cannot sign what is made here.
 * @module
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { type Finished, repository, TestProject } from "./project.ts";
import { VendorIsos } from "./vendor-iso.ts";
import { type VendorServer, vendorServer } from "./vendor-server.ts";

/** The example, ready to be run. */
export class Workflow implements AsyncDisposable {
  readonly project: TestProject;
  readonly server: VendorServer;
  readonly #media: string;

  private constructor(project: TestProject, server: VendorServer, media: string) {
    this.project = project;
    this.server = server;
    this.#media = media;
  }

  static async create(): Promise<Workflow> {
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
    for (const vendor of ["ubuntu", "rocky", "kali"]) {
      const before = text;
      text = text.replace(`trust: ${vendor}.keys`, `trust: ${JSON.stringify({ keys: server.trust.keys })}`);
      if (text === before) throw new Error(`the example does not trust ${vendor}.keys`);
    }
    project.write("imagefile.ts", text);
    mkdirSync(project.path("keys"));
    execFileSync("minisign", ["-G", "-W", "-p", project.path("keys/release.pub"), "-s", project.path("release.key")], { stdio: "ignore" });
    return new Workflow(project, server, media);
  }

  /** Runs targets to their end. */
  run(...targets: readonly string[]): Promise<Finished> {
    return this.project.start(["run", "--reporter", "plain", ...targets], { env: this.server.env, timeout: 40 * 60_000 }).finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    this.project.eject();
    rmSync(this.#media, { recursive: true, force: true });
  }
}
