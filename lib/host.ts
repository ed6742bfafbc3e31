/**
 * Finds out what a requirement looks like on this host: which file, which version, good enough or not.
 * Reads only; installs nothing and words nothing beyond a short problem.
 * @module
 */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { compareVersions } from "./compare-versions.ts";
import { searchPath, which } from "./process.ts";
import { identityOf } from "./stat-cache.ts";
import type { HostFile, Requirement, Tool } from "./tool.ts";

/** What was found of a requirement. */
export interface Finding {
  readonly requirement: Requirement;
  /** Absolute path of the executable or file. */
  readonly path?: string;
  /** Version of a tool, as it says itself. */
  readonly version?: string;
  /** Text that changes whenever the file's content could have; symbolic links followed. */
  readonly identity?: string;
  readonly ok: boolean;
  /** Why it will not do: `"not found"`, `"version 1.2 is too old, 1.5 is needed"`. */
  readonly problem?: string;
}

/** How a probe looks at the host. */
export interface ProbeOptions {
  /** Whose `PATH` is searched. @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds a tool may take to say its version. @default 5000 */
  readonly timeout?: number;
}

const outputLimit = 64 * 1024;

/** Looks at one requirement. Never fails: what goes wrong is the finding's `problem`. */
export async function probe(requirement: Requirement, options: ProbeOptions = {}): Promise<Finding> {
  return requirement.type === "tool" ? probeTool(requirement, options) : probeFile(requirement);
}

/**
 * Looks at several requirements, four at a time. Each tool is looked at once, however many targets name it.
 *
 * @returns findings in the order of first mention
 */
export async function probeAll(requirements: readonly Requirement[], options: ProbeOptions = {}): Promise<readonly Finding[]> {
  const distinct = [...merge(requirements).values()];
  const findings: Finding[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < distinct.length; index = next++) findings[index] = await probe(distinct[index]!, options);
  };
  await Promise.all(Array.from({ length: Math.min(4, distinct.length) }, worker));
  return findings;
}

/** One requirement a tool or file: of several demands on a version, the highest. */
function merge(requirements: readonly Requirement[]): ReadonlyMap<string, Requirement> {
  const byName = new Map<string, Requirement>();
  for (const requirement of requirements) {
    const key = requirement.type === "tool" ? requirement.name : `${requirement.name}: ${requirement.anyOf.join(" ")}`;
    const other = byName.get(key);
    const higher = other === undefined
      || (requirement.type === "tool" && other.type === "tool" && requirement.min !== undefined
        && (other.min === undefined || compareVersions(requirement.min, other.min) > 0));
    if (higher) byName.set(key, requirement);
  }
  return byName;
}

function identityAt(path: string): string | undefined {
  try {
    return identityOf(statSync(path, { bigint: true }));
  } catch {
    return undefined; // It went away since it was found.
  }
}

function probeFile(requirement: HostFile): Finding {
  let refused: string | undefined;
  for (const path of requirement.anyOf) {
    try {
      accessSync(path, constants.R_OK);
      const identity = identityAt(path);
      return { requirement, path, ...(identity === undefined ? {} : { identity }), ok: true };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EACCES") refused ??= path;
    }
  }
  return { requirement, ok: false, problem: refused === undefined ? `not found: ${requirement.anyOf.join(" or ")}` : `no permission to read ${refused}` };
}

async function probeTool(requirement: Tool, options: ProbeOptions): Promise<Finding> {
  const env = options.env ?? process.env;
  const path = which(requirement.name, searchPath(env));
  if (path === undefined) return { requirement, ok: false, problem: "not found" };
  const identity = identityAt(path);
  const found = { requirement, path, ...(identity === undefined ? {} : { identity }) };
  if (requirement.versionArgs.length === 0) return { ...found, ok: true };
  const said = await ask(path, requirement.versionArgs, env, options.timeout ?? 5000);
  if ("problem" in said) return { ...found, ok: false, problem: said.problem };
  const version = new RegExp(requirement.versionPattern, "m").exec(said.text)?.[1];
  if (version === undefined) {
    // Without a demand on the version, being there is enough.
    return requirement.min === undefined ? { ...found, ok: true } : { ...found, ok: false, problem: `its version is unknown, ${requirement.min} is needed` };
  }
  if (requirement.min !== undefined && compareVersions(version, requirement.min) < 0) {
    return { ...found, version, ok: false, problem: `version ${version} is too old, ${requirement.min} is needed` };
  }
  return { ...found, version, ok: true };
}

/**
 * Runs a tool with its version arguments. Many print to standard error and many exit with 1: neither matters. The locale is
 * C in UTF-8, since Ansible says nothing in any other encoding.
 */
function ask(
  path: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>, timeout: number,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  return new Promise((resolve) => {
    const child = spawn(path, args, { env: { ...env, LC_ALL: "C.UTF-8", LANGUAGE: "C" }, cwd: "/", stdio: ["ignore", "pipe", "pipe"], detached: true });
    const parts: [string, string] = ["", ""];
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It ended by itself.
      }
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeout);
    child.stdout.setEncoding("utf8").on("data", (text: string) => void (parts[0].length < outputLimit && (parts[0] += text)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => void (parts[1].length < outputLimit && (parts[1] += text)));
    child.once("error", (error) => {
      clearTimeout(timer);
      resolve({ problem: `cannot be run: ${(error as NodeJS.ErrnoException).code ?? error.message}` });
    });
    child.once("close", () => {
      clearTimeout(timer);
      resolve(late ? { problem: `did not say its version within ${timeout / 1000} s` } : { text: parts.join("\n") });
    });
  });
}
