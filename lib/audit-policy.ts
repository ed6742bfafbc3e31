/**
 * Judges what was seen of a target against what it declares: what is the system's own, what is the target's, what is
 * undeclared, what was declared for nothing. Starts no process but the package manager's question whose a program is.
 * @module
 */
import { execFileSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import type { AuditFinding, AuditUnused } from "./event.ts";
import { packageRoot } from "./package.ts";
import { searchPath, which } from "./process.ts";
import type { Declaration } from "./target.ts";
import type { Access, Observation } from "./accesses.ts";

/** What a target may do, beside what every target may. */
export interface Allowed {
  readonly declaration: Declaration;
  /** Directory of the run's own, with `in`, `tmp` and `out`. */
  readonly directory: string;
  readonly project: string;
  /** Directory of imgtask's state. */
  readonly state: string;
  /** What the recipe was given for each input. */
  readonly inputs: ReadonlyMap<string, string | readonly string[]>;
  /** Files of the recipe's code. */
  readonly code: ReadonlySet<string>;
  /** Environment variables that the recipe itself read; `undefined` as a name: all of them. */
  readonly environment: { readonly undeclared: ReadonlySet<string | undefined>; readonly declared: ReadonlySet<string> };
}

/** What an audit says of a target. */
export interface Judgement {
  readonly undeclared: readonly AuditFinding[];
  readonly unused: readonly AuditUnused[];
}

/** Programs that run others as their arguments say: those count as the recipe's own choice. */
const launchers = new Set(["sh", "dash", "bash", "env", "node", "unshare", "chroot", "setpriv", "prlimit", "nice", "ionice", "timeout", "xargs", "sudo", "setsid", "stdbuf"]);
/** Programs that imgtask itself cannot do without. */
const given = new Set(["sh", "dash", "bash", "env", "node"]);

const programs = /^\/(?:usr|lib|lib32|lib64|libx32|bin|sbin)(?:\/|$)/;
const etc = new RegExp(
  String.raw`^/etc/(?:ld\.so\..*|nsswitch\.conf|passwd|group|localtime|timezone|locale\.(?:alias|conf)|resolv\.conf|hosts|host\.conf|gai\.conf|services|protocols|rpc|networks` +
  String.raw`|ssl(?:/.*)?|pki(?:/.*)?|ca-certificates(?:/.*)?|crypto-policies(?:/.*)?|selinux(?:/.*)?|alternatives(?:/.*)?|terminfo(?:/.*)?|subuid|subgid|login\.defs|gcrypt(?:/.*)?|gnutls(?:/.*)?|netsvc\.conf|svc\.conf|debian_version|mtab|perl(?:/.*)?|python3[^/]*(?:/.*)?|os-release)?$`,
);
const devices = /^\/dev(?:\/(?:null|zero|full|random|urandom|tty|ptmx|pts(?:\/.*)?|fd(?:\/.*)?|std(?:in|out|err)|console|kvm|fuse|net(?:\/tun)?|loop-control|log))?$/;
const kernel = /^\/(?:proc|sys)(?:\/|$)|^\/run\/(?:mount|nscd|systemd\/(?:resolve|userdb)|resolvconf)(?:\/|$)|^\/var\/run\/nscd(?:\/|$)|^\/selinux$/;

const below = (path: string, directory: string): boolean => path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Judges what was seen. */
export function judgeAccesses(observation: Observation, allowed: Allowed): Judgement {
  const { declaration } = allowed;
  const places = placesOf(allowed);
  const used = new Set<string>();
  const written = new Set<string>();
  const findings = new Map<string, AuditFinding>();
  const started: Access[] = [];
  const add = (type: AuditFinding["type"], what: string, access: Access, through?: string): void => {
    const by = ownProcess(access) ? undefined : access.command;
    const key = `${type}\0${what}`;
    if (!findings.has(key)) findings.set(key, { type, what, by: by ?? null, through: through ?? null });
  };
  for (const access of observation.accesses) {
    const { type, path } = access;
    if (type === "network") {
      if (declaration.resources.network !== true) add("network", path, access);
      continue;
    }
    const holding = places.filter((place) => place.holds(path, type));
    const [input] = holding;
    for (const { key } of holding) used.add(key);
    if (type === "execute" && !below(path, allowed.directory)) started.push(access);
    if (below(path, allowed.directory) || [...written].some((one) => below(path, one))) {
      if (type === "write") written.add(path);
      continue;
    }
    if (type === "write") {
      if (permitsWriting(access, allowed)) continue;
      written.add(path);
      add("write", path, access);
    } else if (type === "execute") {
      if (!programs.test(path) && !isTool(path, declaration) && input === undefined && path !== process.execPath) add("read", path, access);
    } else if (type === "socket") {
      if (!kernel.test(path) && !devices.test(path)) add("socket", path, access);
    } else if (input === undefined && !permitsReading(access, path, places, allowed)) {
      const directory = type === "read" && isDirectory(path);
      if (!directory) add(type === "look" ? "probe" : type === "mount" ? "read" : type, path, access, access.named);
    } else if (type === "read" && access.named !== undefined && leadsElsewhere(access.named, path)) {
      // What it leads to may be read; the link itself could lead elsewhere.
      const link = places.find((place) => place.holds(access.named!, type));
      if (link === undefined && !permitsReading(access, access.named, places, allowed)) add("read", access.named, access);
    }
  }
  const tools = judgeTools(started, declaration);
  for (const access of tools.undeclared) if (!isUntracked(access.path, allowed)) add("tool", access.path, access);
  for (const name of allowed.environment.undeclared) findings.set(`environment\0${name ?? ""}`, { type: "environment", what: name ?? "all of process.env", by: null, through: null });
  const unused: AuditUnused[] = [];
  for (const [key, ref] of Object.entries(declaration.inputs)) {
    const what = ref.type === "artifact" ? `${ref.target}#${ref.output}` : ref.type === "source" ? ref.path : ref.patterns.join(" ");
    if (!used.has(key)) unused.push({ type: "input", what, key });
  }
  for (const name of tools.unused) unused.push({ type: "tool", what: name, key: null });
  // A command may use what a recipe never looks at.
  if (started.length === 0) for (const name of declaration.env) if (!allowed.environment.declared.has(name)) unused.push({ type: "environment", what: name, key: null });
  return { undeclared: [...findings.values()].sort((a, b) => (a.type + a.what < b.type + b.what ? -1 : 1)), unused };
}

/** Whether imgtask's own process did it: the recipe. */
function ownProcess(access: Access): boolean {
  return access.programs.length <= 1;
}

/** Where tsx keeps what it has compiled, beside what tells where. */
const compiled = join(tmpdir(), "tsx-");

function isNode(access: Access): boolean {
  return ownProcess(access) || basename(access.programs.at(-1)!) === "node";
}

interface InputPlace {
  readonly key: string;
  holds(path: string, type: Access["type"]): boolean;
}

/** Where the inputs are, and what of them may be read. */
function placesOf({ declaration, inputs, project }: Allowed): readonly InputPlace[] {
  const places: InputPlace[] = [];
  for (const [key, value] of inputs) {
    const ref = declaration.inputs[key];
    if (typeof value === "string") {
      const roots = [...new Set([value, real(value)])];
      places.push({ key, holds: (path) => roots.some((root) => below(path, root)) });
    } else {
      const files = new Set(value);
      // A listing shows more than what matches, unless everything does.
      const whole = ref?.type === "glob" ? ref.patterns.flatMap((pattern) => (/^[^!*?{}[\]()]+\/\*\*(?:\/\*)?$/.test(pattern) ? [resolve(project, pattern.replace(/\/\*\*.*$/, ""))] : [])) : [];
      const plain = ref?.type === "glob" && !ref.patterns.some((pattern) => pattern.startsWith("!")) ? whole : [];
      places.push({ key, holds: (path, type) => files.has(path) || plain.some((root) => below(path, root)) || (type === "look" && isDirectory(path) && value.some((file) => below(file, path)) && below(path, project) && path !== project) });
    }
  }
  return places;
}

function permitsWriting(access: Access, { declaration, project, state }: Allowed): boolean {
  const { path } = access;
  if (isNode(access) && path.startsWith(compiled)) return true;
  if (devices.test(path) || kernel.test(path) || path.startsWith("/dev/pts/")) return true;
  if (below(path, join(state, "logs"))) return true;
  // A place that was not there is made with the directories on the way to it.
  return [...(declaration.untracked?.writes ?? []), ...(declaration.keeps ?? [])].map((one) => resolve(project, one)).some((one) => below(path, one) || (below(one, path) && isDirectory(path)));
}

function untrackedOf({ declaration: { untracked, keeps = [] }, project }: Allowed): string[] {
  return [...(untracked?.reads ?? []), ...(untracked?.writes ?? []), ...keeps].map((one) => resolve(project, one));
}

function isUntracked(path: string, allowed: Allowed): boolean {
  return untrackedOf(allowed).some((one) => below(path, one));
}

function permitsReading(access: Access, path: string, places: readonly InputPlace[], allowed: Allowed): boolean {
  const { declaration, directory, project, state, code } = allowed;
  if (path === "/" || programs.test(path) || etc.test(path) || devices.test(path) || kernel.test(path) || code.has(path)) return true;
  const declared = untrackedOf(allowed);
  for (const requirement of declaration.tools) if (requirement.type === "host file") declared.push(...requirement.anyOf);
  if (declared.some((one) => below(path, one)) || below(path, join(state, "logs")) || below(path, join(state, "modules")) || isTool(path, declaration)) return true;
  const node = isNode(access);
  if (node && (/\/node_modules(?:\/|$)/.test(path) || path.startsWith(compiled))) return true;
  if (["dist", "vendor", "package.json", ...(import.meta.url.endsWith(".ts") ? ["lib", "plugins", "distros"] : [])].some((name) => below(path, join(packageRoot(), name)))) return true;
  // Whether there is a drive is no content.
  if ((access.type === "probe" || access.type === "look") && path.startsWith("/dev/")) return true;
  if (access.type === "probe") {
    if (node && /\/(?:package|tsconfig)\.json$/.test(path)) return true;
    return searchPath().includes(dirname(path));
  }
  // Directories on the way to what may be read.
  if (access.type !== "look" || !isDirectory(path)) return path === process.execPath;
  // Node looks at each of them where a module's name is a link, as node_modules may be.
  return [directory, project, state, ...declared, ...code, packageRoot(), real(join(packageRoot(), "node_modules")), ...searchPath()].some((one) => below(one, path)) || [...allowed.inputs.values()].flat().some((one) => below(one, path));
}

/** Whether a name is that of a symbolic link, and not merely a path through linked directories. */
function leadsElsewhere(named: string, path: string): boolean {
  return join(real(dirname(named)), basename(named)) !== path && !/^\/(?:proc|dev)\//.test(named);
}

function isTool(path: string, declaration: Declaration): boolean {
  return declaration.tools.some((one) => one.type === "tool" && basename(path) === one.name && isAbsolute(path) && which(one.name) !== undefined && real(which(one.name)!) === real(path));
}

/** Which of the started programs the recipe chose without declaring them, and which of the declared never ran. */
function judgeTools(started: readonly Access[], declaration: Declaration): { readonly undeclared: readonly Access[]; readonly unused: readonly string[] } {
  const declared = declaration.tools.filter((one) => one.type === "tool");
  const chosen = started.filter(({ programs: chain }) => chain.slice(1, -1).every((one) => launchers.has(basename(one)) || launchers.has(basename(real(one)))));
  const unknown = (path: string): boolean => !given.has(basename(path)) && path !== process.execPath && !declared.some(({ name }) => name === basename(path));
  const open = chosen.filter(({ path }) => programs.test(path) && unknown(path));
  const idle = declared.filter(({ name }) => !started.some(({ path }) => basename(path) === name));
  if (open.length === 0 && idle.length === 0) return { undeclared: [], unused: [] };
  // ssh-keygen comes with ssh: programs of one package have one version.
  const owners = packagesOf([...started.map(({ path }) => path), ...declared.flatMap(({ name }) => which(name) ?? [])]);
  const declaredPackages = new Set(declared.flatMap(({ name, packages }) => [...Object.values(packages), owners.get(which(name) ?? "") ?? ""]));
  const startedPackages = new Set(started.map(({ path }) => owners.get(path)));
  return {
    undeclared: open.filter(({ path }) => !declaredPackages.has(owners.get(path) ?? "\0")),
    unused: idle.filter(({ name }) => !startedPackages.has(owners.get(which(name) ?? "\0") ?? "\0")).map(({ name }) => name),
  };
}

/** Package of each program, where the host's package manager is dpkg and knows. */
function packagesOf(paths: readonly string[]): ReadonlyMap<string, string> {
  const asked = new Map<string, string>();
  for (const path of new Set(paths)) for (const one of [path, real(path)]) for (const form of [one, one.replace(/^\/usr\//, "/"), one.startsWith("/usr/") ? one : `/usr${one}`]) asked.set(form, path);
  let text = "";
  try {
    text = execFileSync("dpkg-query", ["-S", ...asked.keys()], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], env: { PATH: searchPath().join(":"), LC_ALL: "C" } });
  } catch (error) {
    // It fails when it does not know one of them, and tells the others all the same.
    text = String((error as { stdout?: unknown }).stdout ?? "");
  }
  const owners = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?: (\/.*)$/.exec(line);
    const path = match === null ? undefined : asked.get(match[2]!);
    if (path !== undefined) owners.set(path, match![1]!);
  }
  return owners;
}
