/**
 * The task runners that imgtask is measured beside: how each is installed, told of a graph, and run. Each writes the
 * same tasks in its own words. Knows nothing of what is measured.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { has, versionOf } from "./measure.ts";

const repository = resolve(import.meta.dirname, "../..");

/** One task, the same for every runner. */
export interface Task {
  /** A file name, and the name of the task. */
  readonly name: string;
  /** Run by `sh` in the project. */
  readonly command: string;
  /** Files of the project. */
  readonly inputs: readonly string[];
  /** Tasks whose outputs are read. */
  readonly needs: readonly Task[];
  readonly outputs: readonly string[];
}

/** A runner that is there. */
export interface Runner {
  readonly name: string;
  /** Writes how the tasks are to be made, and what else the runner wants to see, into a directory. */
  readonly write: (directory: string, tasks: readonly Task[], wanted: readonly Task[]) => void;
  /** Makes what is wanted. */
  readonly argv: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
  /** Most targets it is measured with; more would take minutes. @default as many as there are */
  readonly most?: number;
}

/** All peers, those that are there and why the others are not. */
export interface Peers {
  readonly runners: readonly Runner[];
  readonly versions: readonly string[];
  readonly missing: readonly string[];
}

const outputsOf = (tasks: readonly Task[]): readonly string[] => tasks.flatMap(({ outputs }) => outputs);
const json = (value: unknown): string => `${JSON.stringify(value, undefined, 1)}\n`;
const list = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(", ");

/** git, which turbo and nx ask what has changed. */
function commit(directory: string): void {
  writeFileSync(join(directory, ".gitignore"), "out\nnode_modules\n.turbo\n.nx\n");
  const git = (...args: readonly string[]): void => void spawnSync("git", ["-c", "user.name=bench", "-c", "user.email=bench@example.org", ...args], { cwd: directory });
  git("init", "-q");
  git("add", "-A");
  git("commit", "-qm", "bench");
}

function makefile(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const rules = tasks.map(({ command, inputs, needs, outputs }) => `${outputs.join(" ")}: ${[...inputs, ...outputsOf(needs)].join(" ")}\n\t@${command.replaceAll("$", "$$$$")}\n`);
  writeFileSync(join(directory, "Makefile"), `.DELETE_ON_ERROR:\nall: ${outputsOf(wanted).join(" ")}\n${rules.join("")}`);
}

function ninja(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const rules = tasks.map(({ name, command, inputs, needs, outputs }) =>
    `rule ${name}\n  command = ${command.replaceAll("$", "$$$$")}\nbuild ${outputs.join(" ")}: ${name} ${[...inputs, ...outputsOf(needs)].join(" ")}\n`);
  writeFileSync(join(directory, "build.ninja"), `${rules.join("")}build all: phony ${outputsOf(wanted).join(" ")}\ndefault all\n`);
}

function just(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const recipes = tasks.map(({ name, command, inputs, needs, outputs }) =>
    `[script("sh")]\n[cache(inputs = [${list([...inputs, ...outputsOf(needs)])}], outputs = [${list(outputs)}])]\n${name}: ${needs.map((need) => need.name).join(" ")}\n  ${command}\n`);
  writeFileSync(join(directory, "justfile"), `set unstable\nset lists\n\n[parallel]\nall: ${wanted.map(({ name }) => name).join(" ")}\n\n${recipes.join("\n")}`);
}

function wireit(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const scripts = Object.fromEntries(["all", ...tasks.map(({ name }) => name)].map((name) => [name, "wireit"]));
  const entries = tasks.map(({ name, command, inputs, needs, outputs }) => [name, { command, files: inputs, output: outputs, packageLocks: [], dependencies: needs.map((need) => need.name) }]);
  writeFileSync(join(directory, "package.json"), json({ name: "bench", private: true, version: "1.0.0", scripts, wireit: { all: { dependencies: wanted.map(({ name }) => name) }, ...Object.fromEntries(entries) } }));
}

function turbo(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const scripts = { all: "true", ...Object.fromEntries(tasks.map(({ name, command }) => [name, command])) };
  const entries = tasks.map(({ name, inputs, needs, outputs }) => [name, { inputs, outputs, dependsOn: needs.map((need) => need.name) }]);
  writeFileSync(join(directory, "package.json"), json({ name: "bench", private: true, version: "1.0.0", scripts, packageManager: "npm@10.8.2" }));
  writeFileSync(join(directory, "package-lock.json"), json({ name: "bench", version: "1.0.0", lockfileVersion: 3, requires: true, packages: { "": { name: "bench", version: "1.0.0" } } }));
  writeFileSync(join(directory, "turbo.json"), json({ tasks: { all: { dependsOn: wanted.map(({ name }) => name), cache: false }, ...Object.fromEntries(entries) } }));
  commit(directory);
}

function nx(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const entries = tasks.map(({ name, command, inputs, needs, outputs }) => [
    name,
    { executor: "nx:run-commands", cache: true, options: { command, cwd: "{workspaceRoot}" }, inputs: inputs.map((path) => `{workspaceRoot}/${path}`), outputs: outputs.map((path) => `{workspaceRoot}/${path}`), dependsOn: needs.map((need) => need.name) },
  ]);
  writeFileSync(join(directory, "package.json"), json({ name: "bench", private: true, version: "1.0.0" }));
  writeFileSync(join(directory, "nx.json"), json({ analytics: false, neverConnectToCloud: true, cacheDirectory: ".nx/cache" }));
  writeFileSync(join(directory, "project.json"), json({ name: "bench", targets: { all: { executor: "nx:noop", dependsOn: wanted.map(({ name }) => name) }, ...Object.fromEntries(entries) } }));
  commit(directory);
}

function nadle(directory: string, tasks: readonly Task[], wanted: readonly Task[]): void {
  const entries = tasks.map(({ name, command, inputs, needs, outputs }) =>
    `tasks.register(${JSON.stringify(name)}, ExecTask, { command: "sh", args: ["-c", ${JSON.stringify(command)}] }).config({ dependsOn: [${list(needs.map((need) => need.name))}], inputs: [Inputs.files(${list([...inputs, ...outputsOf(needs)])})], outputs: [Outputs.files(${list(outputs)})] });\n`);
  writeFileSync(join(directory, "package.json"), json({ name: "bench", private: true, version: "1.0.0", type: "module" }));
  writeFileSync(join(directory, "nadle.config.ts"), `import { configure, ExecTask, Inputs, Outputs, tasks } from "nadle";\n\nconfigure({ footer: false, parallel: true });\n${entries.join("")}tasks.register("all").config({ dependsOn: [${list(wanted.map(({ name }) => name))}] });\n`);
}

/** An imagefile whose recipes are commands, as the other runners have them. */
export function imagefile(directory: string, tasks: readonly Task[]): void {
  const index = new Map(tasks.map((task, i) => [task.name, i]));
  const entries = tasks.map(({ name, command, inputs, needs, outputs }) => `[${JSON.stringify(name)}, ${JSON.stringify(command)}, [${list(inputs)}], [${needs.map((need) => index.get(need.name)).join(", ")}], [${list(outputs)}]],\n`);
  writeFileSync(join(directory, "package.json"), json({ name: "bench", private: true, type: "module" }));
  // A recipe writes where it is told; `out/…` of the command becomes that place, and inputs are where they are.
  writeFileSync(join(directory, "imagefile.ts"), `import { output, source, target, type Target } from "imgtask";

const tasks: readonly (readonly [name: string, command: string, inputs: readonly string[], needs: readonly number[], outputs: readonly string[]])[] = [
${entries.join("")}];
const made: Target<any>[] = [];
for (const [name, command, inputs, needs, outputs] of tasks) {
  made.push(target(\`part:\${name}\`, {
    params: { command, paths: outputs },
    inputs: { own: inputs.map((path) => source(path)), below: needs.map((index) => made[index]!.outputs["out0"]!) },
    outputs: Object.fromEntries(outputs.map((path, i) => [\`out\${i}\`, output("file", "part", { path })])),
    async run({ exec, params, outputs }) {
      let command = params.command;
      params.paths.forEach((path, i) => (command = command.replaceAll(\`> \${path}\`, \`> "\${outputs[\`out\${i}\`]}"\`)));
      await exec(["sh", "-c", command], { cwd: ${JSON.stringify(directory)} });
    },
  }));
}
`);
}

interface Peer {
  readonly name: string;
  /** Package and version; a Debian program otherwise. */
  readonly install?: readonly [name: string, version: string];
  readonly write: Runner["write"];
  /** From the directory that packages are installed in. */
  readonly argv: (bin: string) => readonly [string, ...string[]];
  readonly env?: (directory: string) => NodeJS.ProcessEnv;
  readonly most?: number;
}

const peers: readonly Peer[] = [
  { name: "make", write: makefile, argv: () => ["make", "-s", "-j2"] },
  { name: "ninja", write: ninja, argv: () => ["ninja", "--quiet", "-j2"] },
  { name: "just", install: ["rust-just", "1.57.0"], write: just, argv: (bin) => [join(bin, `../rust-just-linux-${process.arch}/bin/just`), "--quiet", "all"], most: 1000 },
  // As `npm run all` starts it, without the time that npm takes.
  { name: "wireit", install: ["wireit", "0.14.13"], write: wireit, argv: (bin) => [join(bin, "wireit")], env: () => ({ npm_lifecycle_event: "all", npm_package_json: "package.json", npm_config_user_agent: "npm/10.8.2", WIREIT_PARALLEL: "2", WIREIT_CACHE: "local", WIREIT_LOGGER: "quiet-ci" }), most: 1000 },
  { name: "turbo", install: ["turbo", "2.11.11"], write: turbo, argv: (bin) => [join(bin, "turbo"), "run", "all", "--concurrency=2", "--output-logs=none"], env: () => ({ TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" }), most: 1000 },
  { name: "nx", install: ["nx", "24.0.6"], write: nx, argv: (bin) => [join(bin, "nx"), "run", "bench:all", "--parallel=2", "--outputStyle=static"], env: () => ({ NX_DAEMON: "false", NX_NO_CLOUD: "true", NX_TUI: "false" }), most: 1000 },
  { name: "nadle", install: ["nadle", "0.4.0"], write: nadle, argv: (bin) => [join(bin, "nadle"), "all", "--max-workers", "2"], most: 1000 },
];

function npm(place: string, what: string): string | undefined {
  const { status, stderr } = spawnSync("npm", ["install", "--ignore-scripts", "--no-fund", "--no-audit", "--no-package-lock", what], { cwd: place, encoding: "utf8", timeout: 180_000 });
  return status === 0 ? undefined : (/npm error (?:code )?(.*)/.exec(stderr)?.[1] ?? `npm ended with ${status}`);
}

/** Installs the package as users have it, packed; returns its command. */
export function installImgtask(place: string): string {
  if (!existsSync(join(place, "package.json"))) writeFileSync(join(place, "package.json"), json({ private: true }));
  const packed = spawnSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", place, repository], { cwd: place, encoding: "utf8" });
  const archive = packed.stdout.trim().split("\n").at(-1) ?? "";
  const problem = packed.status === 0 ? npm(place, join(place, archive)) : "npm pack failed";
  if (problem === undefined) return join(place, "node_modules/.bin/imgtask");
  mkdirSync(join(place, "node_modules"), { recursive: true });
  symlinkSync(repository, join(place, "node_modules/imgtask"));
  return join(repository, "dist/lib/cli/main.js");
}

/** Installs the peers below a directory, each by itself: one that fails is named with the reason. */
export function installPeers(place: string, names: readonly string[] | undefined, say: (line: string) => void): Peers {
  const runners: Runner[] = [], versions: string[] = [], missing: string[] = [];
  for (const { name, install, write, argv, env, most } of peers.filter((peer) => names === undefined || names.includes(peer.name))) {
    if (install === undefined) {
      if (!has(name)) {
        missing.push(`${name}: not installed`);
        continue;
      }
      versions.push(versionOf(name, "--version"));
    } else {
      say(`installing ${name}`);
      const problem = npm(place, install.join("@"));
      if (problem !== undefined) {
        missing.push(`${name}: ${problem}`);
        continue;
      }
      versions.push(`${name} ${install[1]}`);
    }
    runners.push({ name, write, argv: argv(join(place, "node_modules/.bin")), ...(env === undefined ? {} : { env: env(place) }), ...(most === undefined ? {} : { most }) });
  }
  missing.push("go-task: neither in npm (its package fetches a program from elsewhere when it is installed) nor in Debian 12");
  return { runners, versions, missing };
}

/** Names of all peers. */
export const peerNames: readonly string[] = peers.map(({ name }) => name);

/** Files below a directory, sorted. */
export function filesBelow(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
}
