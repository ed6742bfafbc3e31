/**
 * A machine as a newcomer has it: a minimal Debian with Node, npm and apt and nothing else, in namespaces of its own.
 * It uses the same registry and mirror as the host does. Knows nothing of what is run in it.
 * @module
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { aptSources } from "../rig/apt-sources.ts";

const release = "bookworm";
/** Bytes of memory that must be free for the machine to live in memory; a build and its tools take about half. */
const roomy = 14e9;
const tmpfsSize = "12g";

/** Whether this host can make such a machine; otherwise why not. */
export function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root, for the namespaces and the root file system";
  if (spawnSync("mmdebstrap", ["--version"]).status !== 0) return "needs mmdebstrap";
  return undefined;
}

function say(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

/** What a command in the machine left behind. */
export interface Result {
  readonly code: number;
  /** Its last lines, for the message of a failure. */
  readonly tail: string;
  readonly seconds: number;
}

/** A running machine. */
export class FreshMachine implements AsyncDisposable {
  /** Path of its root directory as the host sees it. */
  readonly root: string;
  readonly #place: string;
  readonly #holder: ChildProcess;
  readonly #pid: number;

  private constructor(place: string, holder: ChildProcess, pid: number) {
    this.#place = place;
    this.#holder = holder;
    this.#pid = pid;
    // The mounts are the machine's own: only through one of its processes can they be seen.
    this.root = join("/proc", String(pid), "root", place, "root");
  }

  /** Makes the machine: the root file system, then Node and npm, then the host's ways to registry and mirror. */
  static async create(): Promise<FreshMachine> {
    const place = mkdtempSync(join(tmpdir(), "imgtask-fresh-"));
    const root = join(place, "root");
    mkdirSync(root);
    const ground = freemem() > roomy ? ["mount", "-t", "tmpfs", "-o", `size=${tmpfsSize},mode=0755`, "tmpfs", root] : ["mount", "--bind", root, root];
    // "$@" carries the command: no word of it is read by the shell.
    const script = `"$@" && echo ready && exec sleep infinity`;
    // Should this process be killed, its machine goes with it.
    const holder = spawn("setpriv", ["--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--", "sh", "-c", script, "sh", ...ground], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    try {
      const ready = await Promise.race([once(holder.stdout!, "data").then(() => true), once(holder, "exit").then(() => false)]);
      if (!ready) throw new Error(`no namespaces for a fresh machine at ${place}`);
      const pid = Number(say("cat", [`/proc/${holder.pid}/task/${holder.pid}/children`]).split(" ")[0]);
      const machine = new FreshMachine(place, holder, pid);
      machine.#furnish();
      return machine;
    } catch (error) {
      holder.kill("SIGKILL");
      rmSync(place, { recursive: true, force: true });
      throw error;
    }
  }

  /** Runs a command in the machine's namespaces, but with the host's files. */
  #outside(...argv: readonly string[]): void {
    execFileSync("nsenter", ["--target", String(this.#pid), "--mount", "--pid", "--", ...argv], { stdio: ["ignore", "ignore", "inherit"] });
  }

  #furnish(): void {
    const inside = join(this.#place, "root");
    this.#outside(
      "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=ca-certificates", "--skip=check/empty", "--skip=cleanup/apt",
      release, inside, ...aptSources(release),
    );
    for (const directory of ["dev", "sys"]) this.#outside("mount", "--rbind", `/${directory}`, join(inside, directory));
    this.#outside("mount", "-t", "proc", "proc", join(inside, "proc"));
    this.#copyNode();
    this.#copyNetwork();
  }

  #copyNode(): void {
    const local = join(this.root, "usr/local");
    copyFileSync(process.execPath, join(local, "bin/node"));
    const npm = dirname(dirname(realpathSync(say("sh", ["-c", "command -v npm"]))));
    cpSync(npm, join(local, "lib/node_modules/npm"), { recursive: true, verbatimSymlinks: true });
    for (const name of ["npm", "npx"]) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, "bin", name));
  }

  /** Name resolution, trust and settings by which the host reaches its registry and mirror. */
  #copyNetwork(): void {
    for (const file of ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"]) if (existsSync(file)) copyFileSync(file, join(this.root, file));
    const own = "/usr/local/share/ca-certificates";
    if (existsSync(own)) cpSync(own, join(this.root, own), { recursive: true });
    writeFileSync(join(this.root, "etc/apt/apt.conf.d/99host"), `${say("apt-config", ["dump", "Acquire"]).split("\n").filter((line) => /^Acquire::(https?|ftp)?:?/i.test(line)).join("\n")}\n`);
    const settings = [[say("npm", ["config", "get", "userconfig"]), "root/.npmrc"], [say("npm", ["config", "get", "globalconfig"]), "usr/local/etc/npmrc"]] as const;
    for (const [file, to] of settings) {
      mkdirSync(dirname(join(this.root, to)), { recursive: true });
      if (existsSync(file)) copyFileSync(file, join(this.root, to));
    }
  }

  /** Unpacks what the repository at `HEAD` holds, as a clone has it, into a directory of the machine. */
  checkout(repository: string, directory: string): void {
    const to = join(this.root, directory);
    mkdirSync(to, { recursive: true });
    const archive = join(this.#place, "checkout.tar");
    execFileSync("git", ["-c", "safe.directory=*", "-C", repository, "archive", "--format=tar", `--output=${archive}`, "HEAD"]);
    execFileSync("tar", ["-xf", archive, "-C", to, "--no-same-owner"]);
    rmSync(archive);
  }

  /** Runs a command line as a newcomer types it: in bash, in a directory of the machine, with little in the environment. */
  async type(line: string, options: { readonly cwd: string; readonly log: string; readonly env?: Readonly<Record<string, string>> }): Promise<Result> {
    const passed = Object.entries(process.env).filter(([name]) => /^(https?_proxy|no_proxy|npm_config_registry|NODE_EXTRA_CA_CERTS|CI)$/i.test(name));
    const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", LANG: "C.UTF-8", TERM: "dumb", ...Object.fromEntries(passed), ...options.env };
    const started = process.hrtime.bigint();
    const log = openSync(options.log, "w");
    const child = spawn("nsenter", [
      "--target", String(this.#pid), "--mount", "--pid", "--", "chroot", join(this.#place, "root"),
      "env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`), "bash", "-c", `cd "$1" && eval "$2"`, "bash", options.cwd, line,
    ], { stdio: ["ignore", log, log] });
    const [code] = await once(child, "exit") as [number | null];
    closeSync(log);
    return { code: code ?? 128, tail: readFileSync(options.log, "utf8").split("\n").slice(-40).join("\n"), seconds: Number(process.hrtime.bigint() - started) / 1e9 };
  }

  /** Ends every process of the machine; its mounts go with them. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = this.#holder.exitCode !== null || this.#holder.signalCode !== null ? undefined : once(this.#holder, "exit");
    this.#holder.kill("SIGKILL");
    await ended;
    rmSync(this.#place, { recursive: true, force: true });
  }
}
