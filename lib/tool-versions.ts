/**
 * Versions of the tools on this host, remembered by the identity of their executables, so that a run with nothing
 * to do starts none of them.
 * @module
 */
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compareVersions } from "./compare-versions.ts";
import { digestOf } from "./digest.ts";
import { ImgtaskError, ExitCode } from "./error.ts";
import { type Finding, probe, probeAll } from "./host.ts";
import { searchPath, which } from "./process.ts";
import { identityOf } from "./stat-cache.ts";
import { Witness } from "./witness.ts";
import type { Requirement, Tool } from "./tool.ts";

interface Known {
  readonly identity: string;
  readonly version: string;
}

const keyOf = (tool: Tool): string => `${tool.name} ${tool.versionArgs.join(" ")} ${tool.versionPattern}`;

/** Versions by tool. */
export class ToolVersions {
  readonly #file: string;
  readonly #known = new Map<string, Known>();
  readonly #looks = new Map<string, Witness>();
  readonly #pending = new Map<string, Promise<string>>();
  #dirty = false;

  /** Reads what is remembered; a missing or damaged file is nothing remembered. */
  constructor(file: string) {
    this.#file = file;
    try {
      const text = readFileSync(file, "utf8");
      const end = text.indexOf("\n");
      if (text.slice(0, end) !== digestOf(text.slice(end + 1))) return;
      for (const [key, known] of Object.entries(JSON.parse(text.slice(end + 1)) as Record<string, Known>)) this.#known.set(key, known);
    } catch {
      // Every tool is asked again.
    }
  }

  /**
   * Versions of the tools among some requirements, by name. A missing tool has the version `missing`.
   *
   * @param witness is told of every file that was looked at: while they are the same, so are the versions, as long as
   * `PATH` is
   */
  async versions(requirements: readonly Requirement[], witness?: Witness): Promise<Record<string, string>> {
    const tools = requirements.filter((requirement): requirement is Tool => requirement.type === "tool");
    if (witness !== undefined) for (const { name } of tools) witness.include(this.#seen(name));
    const versions = await Promise.all(tools.map((one) => this.#version(one)));
    return Object.fromEntries(tools.map((one, index) => [one.name, versions[index]!]));
  }

  /** What looking for a tool sees. */
  #seen(name: string): Witness {
    let seen = this.#looks.get(name);
    if (seen !== undefined) return seen;
    this.#looks.set(name, (seen = new Witness()));
    const found = which(name);
    for (const directory of searchPath()) {
      const candidate = name.includes("/") ? name : join(directory, name);
      seen.place(candidate);
      if (candidate === found || name.includes("/")) break;
    }
    return seen;
  }

  #version(tool: Tool): Promise<string> {
    const path = which(tool.name);
    if (path === undefined) return Promise.resolve("missing");
    const key = keyOf(tool);
    const identity = `${path} ${identityOf(statSync(path, { bigint: true }))}`;
    const known = this.#known.get(key);
    if (known?.identity === identity) return Promise.resolve(known.version);
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      pending = probe(tool).then((finding) => {
        const version = finding.version ?? "unknown";
        this.#known.set(key, { identity, version });
        this.#dirty = true;
        return version;
      });
      this.#pending.set(key, pending);
    }
    return pending;
  }

  /** What is missing or too old among some requirements, each once. Probes only what is not known to be there. */
  async problems(requirements: readonly Requirement[]): Promise<readonly Finding[]> {
    const suspects: Requirement[] = [];
    // Thousands of targets may need the same few tools.
    const distinct = new Map(requirements.map((requirement) => [requirement.type === "tool" ? `${keyOf(requirement)} ${requirement.min}` : requirement.anyOf.join(" "), requirement]));
    for (const requirement of distinct.values()) if (!(await this.#satisfied(requirement))) suspects.push(requirement);
    return (await probeAll(suspects)).filter(({ ok }) => !ok);
  }

  async #satisfied(requirement: Requirement): Promise<boolean> {
    if (requirement.type === "host file") return requirement.anyOf.some((path) => existsSync(path));
    if (which(requirement.name) === undefined) return false;
    return requirement.min === undefined || compareVersions(await this.#version(requirement), requirement.min) >= 0;
  }

  /** Forgets everything, after tools were installed. */
  forget(): void {
    this.#known.clear();
    this.#pending.clear();
    this.#looks.clear();
  }

  /** Writes what is remembered when it changed. Failing to is no error. */
  flush(): void {
    if (!this.#dirty) return;
    try {
      const body = JSON.stringify(Object.fromEntries(this.#known));
      writeFileSync(`${this.#file}.new`, `${digestOf(body)}\n${body}`, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
      this.#dirty = false;
    } catch {
      // Every tool is asked again next time.
    }
  }
}

/** The error that names everything missing, and the one command that installs it. */
export function missingTools(findings: readonly Finding[], command: string | undefined): ImgtaskError {
  const names = findings.map((finding) => finding.requirement.name);
  return new ImgtaskError("IMG1001", `${names.length === 1 ? "A prerequisite is" : `${names.length} prerequisites are`} missing: ${names.join(", ")}`, {
    found: findings.map((finding) => `${finding.requirement.name}: ${finding.problem ?? "missing"}`).join("; "),
    hint: command === undefined ? "Run `imgtask doctor` for what each of them needs" : `Run: ${command}\nor let imgtask do it: add --install-tools`,
    exitCode: ExitCode.prerequisite,
  });
}
