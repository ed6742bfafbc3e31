/**
 * The same damage done to imgtask and its peers, and how often each then hands out wrong bytes as if they were right:
 * a run that ends with 0 and leaves an output that is not what the recipe makes.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, bytes, imgtaskRunners } from "./graph.ts";
import { filesBelow, type Runner, type Task } from "./peers.ts";

/** What became of one kind of damage. */
interface Outcome {
  readonly tool: string;
  /** Runs after damage. */
  readonly of: number;
  /** That ended with 0 and left wrong bytes. */
  readonly wrong: number;
  /** That ended with another code. */
  readonly failed: number;
  readonly remark?: string;
}

/** A project of one task, `sh make.sh`, that makes four files of its input. */
class Victim {
  readonly runner: Runner;
  readonly directory: string;

  constructor(bench: Bench, runner: Runner, fault: string, script: string, outputs: readonly string[]) {
    this.runner = runner;
    this.directory = join(bench.place, "faults", fault, runner.name.replaceAll(/\W+/g, "-"));
    mkdirSync(join(this.directory, "src"), { recursive: true });
    mkdirSync(join(this.directory, "out"));
    writeFileSync(join(this.directory, "src/a"), bytes(1, 65_536));
    const task: Task = { name: "t0", command: script, inputs: ["src/a"], needs: [], outputs };
    runner.write(this.directory, [task], [task]);
  }

  path(...parts: readonly string[]): string {
    return join(this.directory, ...parts);
  }

  /** Runs to the end; whether it said that all is well. */
  run(): boolean {
    const [command, ...args] = this.runner.argv;
    return spawnSync(command, args, { cwd: this.directory, env: this.#env(), stdio: "ignore", timeout: 60_000 }).status === 0;
  }

  /** Starts a run and kills it with all it has started, with SIGKILL, once a file is there. */
  async killAt(file: string): Promise<void> {
    const [command, ...args] = this.runner.argv;
    const child = spawn(command, args, { cwd: this.directory, env: this.#env(), stdio: "ignore", detached: true });
    const ended = new Promise((resolve) => child.once("close", resolve));
    for (let i = 0; i < 600 && !existsSync(file) && child.exitCode === null; i++) await sleep(50);
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // It has ended: then the file was never there, or the run too fast.
    }
    await ended;
    await sleep(300);
  }

  #env(): NodeJS.ProcessEnv {
    return { ...process.env, CI: "true", ...this.runner.env };
  }
}

const four = ["out/1", "out/2", "out/3", "out/4"];
/** Outputs of incompressible bytes: what is flipped is content, not the archive's own structure. */
const copies = "cat src/a > out/1; cat src/a > out/2; cat src/a > out/3; cat src/a > out/4";

const right = (victim: Victim): boolean => {
  const source = readFileSync(victim.path("src/a"));
  return four.every((path) => existsSync(victim.path(path)) && readFileSync(victim.path(path)).equals(source));
};

/** Where each runner keeps the bytes of outputs, if it does. */
const stores: Readonly<Record<string, (victim: Victim) => readonly string[]>> = {
  imgtask: (victim) => filesBelow(victim.path(".imgtask/store")),
  turbo: (victim) => filesBelow(victim.path(".turbo/cache")).filter((file) => file.endsWith(".tar.zst")),
  wireit: (victim) => filesBelow(victim.path(".wireit")).filter((file) => file.includes("/cache/")),
  nx: (victim) => filesBelow(victim.path(".nx/cache")).filter((file) => /\/out\/\d$/.test(file)),
};

function overwrite(file: string, content: Buffer): void {
  const { mode } = lstatSync(file);
  chmodSync(file, 0o644);
  writeFileSync(file, content);
  chmodSync(file, mode & 0o777);
}

/** Damages what is kept for input A while input B is current, goes back to A, and looks at what comes out. */
function damage(victim: Victim, tool: string, harm: (files: readonly string[]) => void): "wrong" | "right" | "failed" | "nothing kept" {
  const a = bytes(1, 65_536);
  writeFileSync(victim.path("src/a"), a);
  if (!victim.run() || !right(victim)) throw new Error(`${tool} did not make its files`);
  const files = stores[tool]!(victim);
  if (files.length === 0) return "nothing kept";
  writeFileSync(victim.path("src/a"), bytes(2, 65_536));
  if (!victim.run() || !right(victim)) throw new Error(`${tool} did not make its files anew`);
  harm(files);
  writeFileSync(victim.path("src/a"), a);
  for (const path of four) rmSync(victim.path(path), { force: true });
  return !victim.run() ? "failed" : right(victim) ? "right" : "wrong";
}

function count(tool: string, results: readonly ReturnType<typeof damage>[]): Outcome {
  const of = (kind: string): number => results.filter((one) => one === kind).length;
  return { tool, of: results.length, wrong: of("wrong"), failed: of("failed"), ...(of("nothing kept") > 0 ? { remark: "keeps no outputs" } : {}) };
}

const faults: readonly { readonly name: string; readonly rounds: number; readonly harm: (files: readonly string[], round: number, rounds: number) => void }[] = [
  {
    name: "one bit flipped in the cached output, evenly spread",
    rounds: 20,
    harm(files, round, rounds) {
      const file = files.reduce((a, b) => (lstatSync(b).size > lstatSync(a).size ? b : a));
      const content = readFileSync(file);
      const at = Math.floor(((round + 0.5) / rounds) * content.length);
      content[at]! ^= 1 << (round % 8);
      overwrite(file, content);
    },
  },
  {
    name: "cached output torn: half of each file is left",
    rounds: 1,
    harm(files) {
      for (const file of files) overwrite(file, readFileSync(file).subarray(0, lstatSync(file).size >> 1));
    },
  },
  {
    name: "cached output torn: files are missing or empty",
    rounds: 1,
    harm(files) {
      files.forEach((file, i) => (i % 4 < 2 ? rmSync(file) : i % 4 === 2 ? overwrite(file, Buffer.alloc(0)) : undefined));
    },
  },
  {
    name: "cached output replaced by other bytes",
    rounds: 1,
    harm(files) {
      for (const file of files) overwrite(file, Buffer.from("something else\n"));
    },
  },
];

/** Kills a run while its recipe writes, and looks whether the next takes the torn file for the right one. */
async function torn(bench: Bench, runner: Runner): Promise<Outcome> {
  const output = "out/1";
  // The second half only comes when the run is not to be killed.
  const script = "{ cat src/a; touch half; test -e go || sleep 20; cat src/a; } > out/1";
  const victim = new Victim(bench, runner, "kill", script, [output]);
  await victim.killAt(victim.path("half"));
  writeFileSync(victim.path("go"), "");
  const source = readFileSync(victim.path("src/a"));
  const well = victim.run();
  const good = existsSync(victim.path(output)) && readFileSync(victim.path(output)).equals(Buffer.concat([source, source]));
  return { tool: runner.name, of: 1, wrong: well && !good ? 1 : 0, failed: well ? 0 : 1 };
}

function lines(name: string, outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.map(({ tool, of, wrong, failed, remark }) => `| ${name} | ${tool} | ${remark ?? `${wrong} of ${of}`} | ${remark === undefined ? failed : ""} |`);
}

/** Does the damage; a table of what was served. */
export async function benchFaults(bench: Bench): Promise<string> {
  const imgtask: Runner = { ...imgtaskRunners(bench.imgtask).exec, name: "imgtask" };
  const runners = [imgtask, ...bench.peers.runners];
  const rows: string[] = [];
  for (const { name, rounds, harm } of faults) {
    bench.say(name);
    const outcomes = runners.filter((runner) => runner.name in stores).map((runner) => {
      const results: ReturnType<typeof damage>[] = [];
      for (let round = 0; round < rounds; round++) {
        const victim = new Victim(bench, runner, `${name} ${round}`.replaceAll(/\W+/g, "-"), copies, four);
        results.push(damage(victim, runner.name, (files) => harm(files, round, rounds)));
        rmSync(victim.directory, { recursive: true });
      }
      return count(runner.name, results);
    });
    rows.push(...lines(name, outcomes));
  }
  bench.say("killed while a recipe writes");
  for (const runner of runners) rows.push(...lines("killed by SIGKILL, with all it started, while a recipe writes", [await torn(bench, runner)]));
  const { versions, missing } = bench.peers;
  return [
    "### Damage, and what was served after it\n",
    "Wrong bytes: the run ended with 0 and left a file that its recipe does not make. Runners that keep no outputs are",
    "in the last lines only.\n",
    "| damage | runner | wrong bytes served | ended with an error |\n|---|---|---:|---:|",
    ...rows,
    `\nPeers: ${versions.join("; ") || "none"}.`,
    ...missing.map((line) => `Left out: ${line}.`),
    "",
  ].join("\n");
}
