/**
 * The command `doctor`: whether this host has what targets need, and the one command that installs what is missing.
 * @module
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { ExitCode } from "../error.ts";
import { closure, type Graph, select } from "../graph.ts";
import { type Finding, probeAll } from "../host.ts";
import { detect, install, missing, pasteable } from "../package-manager.ts";
import { quote, searchPath, which } from "../process.ts";
import { formatSize } from "../report/size.ts";
import { pad, painter, printable } from "../report/text.ts";
import type { Requirement } from "../tool.ts";
import { findProject } from "../project.ts";
import { openTrust } from "../state.ts";
import { compareVersions } from "../compare-versions.ts";
import { type CommandContext, dataColor } from "./context.ts";

/** Something about the host that no target declares. */
export interface HostCheck {
  readonly name: string;
  readonly state: "ok" | "warning" | "missing";
  readonly words: string;
}

const oldestNode = "20.19";
/** Bytes that the media, disks and results of a few distributions take. */
const roomySpace = 100e9;
/** Bytes below which even one image is likely to fail. */
const littleSpace = 10e9;

function can(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function space(name: string, path: string, roomy: number): HostCheck {
  try {
    const { bavail, bsize } = statfsSync(path);
    const free = bavail * bsize;
    const advice = free < littleSpace ? "; one image may need more" : free < roomy ? `; several distributions want ${formatSize(roomy)}` : "";
    return { name, state: advice === "" ? "ok" : "warning", words: `${formatSize(free)} free at ${path}${advice}` };
  } catch (error) {
    return { name, state: "warning", words: `unknown at ${path}: ${(error as Error).message}` };
  }
}

function userNamespaces(): HostCheck {
  const name = "user namespaces";
  const unshare = which("unshare");
  if (unshare === undefined) return { name, state: "warning", words: `unknown: "unshare" is not found` };
  // The kernel has several switches for this; trying is the only sure way.
  const works = spawnSync(unshare, ["--user", "--map-root-user", "true"], { timeout: 5000, stdio: "ignore" }).status === 0;
  const root = process.geteuid?.() === 0;
  return { name, state: works || root ? "ok" : "warning", words: works ? "work" : root ? "do not work, and are not needed by root" : "do not work: root file systems can only be built as root" };
}

function privileges(): HostCheck {
  const name = "rights";
  if (process.geteuid?.() === 0) return { name, state: "ok", words: "root" };
  const sudo = which("sudo");
  const works = sudo !== undefined && spawnSync(sudo, ["-n", "true"], { timeout: 5000, stdio: "ignore" }).status === 0;
  return works ? { name, state: "ok", words: "an ordinary user, and sudo asks nothing" } : { name, state: "warning", words: `an ordinary user, and sudo ${sudo === undefined ? "is not found" : "asks for a password"}: packages cannot be installed from here` };
}

/** What the host itself is like. `directory` is the project's. */
export function checkHost(directory: string): readonly HostCheck[] {
  const node = process.versions.node;
  const writable = can(directory, constants.W_OK);
  const kvm = can("/dev/kvm", constants.R_OK | constants.W_OK);
  const shm = can("/dev/shm", constants.W_OK);
  return [
    compareVersions(node, oldestNode) >= 0
      ? { name: "Node.js", state: "ok", words: node }
      : { name: "Node.js", state: "missing", words: `version ${node} is too old, ${oldestNode} is needed` },
    writable ? { name: "project", state: "ok", words: `${directory} is writable` } : { name: "project", state: "missing", words: `no permission to write to ${directory}` },
    privileges(),
    space("project space", directory, roomySpace),
    space("temporary space", tmpdir(), littleSpace),
    userNamespaces(),
    kvm
      ? { name: "KVM", state: "ok", words: "/dev/kvm is there; whether it works shows when a machine boots" }
      : { name: "KVM", state: "warning", words: `${can("/dev/kvm", constants.F_OK) ? "no permission for /dev/kvm" : "no /dev/kvm"}: machines boot, but slowly` },
    shm ? { name: "/dev/shm", state: "ok", words: "writable" } : { name: "/dev/shm", state: "warning", words: "not writable: some tools need shared memory" },
  ];
}

/** Whose results a run would take. */
async function trusted(context: CommandContext): Promise<readonly HostCheck[]> {
  if (context.imagefile === undefined) return [];
  const project = findProject(context.cwd, context.options.imagefile);
  if ((await openTrust(project)) === undefined) return [];
  const { keys, signs } = (await import("../trust.ts")).readTrust(project, process.env);
  return [{ name: "signed results", state: "ok", words: `trusted: ${keys.map(({ id }) => `key ${id}`).join(", ")}; new results are ${signs ? "signed" : "not signed, and not taken by the next run"}` }];
}

/** Names of the targets that need something, by the name of what they need. */
function needers(graph: Graph, names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, string[]>();
  for (const name of names) {
    for (const { name: tool } of graph.get(name)!.declaration.tools) {
      const list = result.get(tool) ?? [];
      if (!list.includes(name)) list.push(name);
      result.set(tool, list);
    }
  }
  return result;
}

function findingData(finding: Finding, neededBy: readonly string[]): object {
  const { requirement, path, version, ok, problem } = finding;
  return { name: requirement.name, type: requirement.type, ok, path: path ?? null, version: version ?? null, problem: problem ?? null, packages: requirement.packages, neededBy };
}

/** Checks the tools of all targets, or of the named ones and what they need; then the host itself. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  const { options } = context;
  let requirements: readonly Requirement[] = [];
  let neededBy: ReadonlyMap<string, readonly string[]> = new Map();
  if (context.imagefile !== undefined || options.imagefile !== undefined || options.targets.length > 0) {
    const { graph } = await context.load();
    const names = options.targets.length === 0 ? [...graph.keys()] : closure(graph, select(graph, options.targets));
    requirements = names.flatMap((name) => graph.get(name)!.declaration.tools);
    neededBy = needers(graph, names);
  } else context.stderr("No imagefile found: only the host itself is checked\n");
  const manager = detect({ directories: searchPath(context.env) });
  let findings = await probeAll(requirements, { env: context.env });
  let lacking = missing(findings, manager);
  if (options.installTools && manager !== undefined && lacking.packages.length > 0) {
    await install({ manager, packages: lacking.packages, signal: context.signal, on: (argv) => context.stderr(`+ ${argv.map(quote).join(" ")}\n`) });
    findings = await probeAll(requirements, { env: context.env });
    lacking = missing(findings, manager);
  }
  // What no target needs is told to who asks for everything.
  const bench = options.targets.length > 0 ? [] : (await probeAll((await import("./workbench.ts")).workbench, { env: context.env })).filter(({ requirement }) => !findings.some((finding) => finding.requirement.name === requirement.name));
  const checks = [...checkHost(context.imagefile === undefined ? context.cwd : dirname(context.imagefile)), ...(await trusted(context))];
  const command = manager === undefined || lacking.packages.length === 0 ? undefined : pasteable(manager, lacking.packages);
  const ok = findings.every((finding) => finding.ok) && checks.every(({ state }) => state !== "missing");
  if (options.json) {
    const data = { ok, tools: findings.map((finding) => findingData(finding, neededBy.get(finding.requirement.name) ?? [])), host: checks, install: command ?? null, workbench: bench.map((finding) => findingData(finding, [])) };
    context.stdout(`${JSON.stringify(data, undefined, 2)}\n`);
  } else context.stdout(words(findings, checks, neededBy, command, lacking.helpless, bench, dataColor(context)));
  return ok ? ExitCode.ok : ExitCode.prerequisite;
}

function words(
  findings: readonly Finding[], checks: readonly HostCheck[], neededBy: ReadonlyMap<string, readonly string[]>,
  command: string | undefined, helpless: readonly Finding[], bench: readonly Finding[], color: boolean,
): string {
  const paint = painter(color);
  const marks = { ok: paint("green", "ok     "), warning: paint("yellow", "warning"), missing: paint("red", "MISSING") } as const;
  const column = Math.max(0, ...findings.map(({ requirement }) => requirement.name.length), ...checks.map(({ name }) => name.length));
  const lines = findings.map((finding) => {
    const { requirement, path, version, ok, problem } = finding;
    const by = neededBy.get(requirement.name) ?? [];
    const found = ok ? [version, path].filter((word) => word !== undefined).join("  ") : `${problem}${by.length === 0 ? "" : `; needed by ${by.slice(0, 3).join(", ")}${by.length > 3 ? ` and ${by.length - 3} more` : ""}`}`;
    return `${marks[ok ? "ok" : "missing"]}  ${pad(requirement.name, column)}  ${printable(found)}`;
  });
  if (lines.length > 0) lines.push("");
  lines.push(...checks.map(({ name, state, words: found }) => `${marks[state]}  ${pad(name, column)}  ${printable(found)}`));
  if (bench.length > 0) lines.push("", "Not needed by these targets:");
  for (const { requirement, path, version, ok, problem } of bench) {
    const found = ok ? [version, path].filter((word) => word !== undefined).join("  ") : `${problem}; package ${Object.entries(requirement.packages).map(([name, one]) => `${one} (${name})`).join(", ")}`;
    lines.push(`${ok ? marks.ok : paint("dim", "absent ")}  ${pad(requirement.name, column)}  ${printable(found)}`);
  }
  for (const { requirement } of helpless) {
    const hint = requirement.type === "host file" ? requirement.hint : undefined;
    const packages = Object.entries(requirement.packages).map(([name, one]) => `${one} (${name})`).join(", ");
    lines.push("", `${requirement.name}: ${hint ?? (packages === "" ? "no package is known for it" : `install ${packages}`)}`);
  }
  if (command !== undefined) lines.push("", "Install what is missing, or add --install-tools:", "", `  ${command}`);
  return `${lines.join("\n")}\n`;
}
