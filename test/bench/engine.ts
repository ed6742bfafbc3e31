/**
 * The engine beside other task runners, on the same generated graph in one run: each case has an aim, and says whether
 * it is met.
 * @module
 */
import { join } from "node:path";
import { benchSparse } from "./big-file.ts";
import { type Bench, imgtaskRunners, Project } from "./graph.ts";
import { byTurns, type Finding, median, type Report, type Row, shown, table, time, type Use } from "./measure.ts";
import type { Runner } from "./peers.ts";

/** Compares a ratio of two medians with its limit. */
function ratio(rows: readonly Row[], what: string, aim: string, [name, against]: readonly [string, string], limit: number, kind: "most" | "least" = "most"): Finding {
  const [one, two] = [name, against].map((label) => rows.find((row) => row.what === label)?.seconds) as [readonly number[] | undefined, readonly number[] | undefined];
  if (one === undefined || two === undefined) return { what, aim, figure: `no ${one === undefined ? name : against} to compare with`, met: undefined };
  const found = median(one) / median(two);
  return { what, aim, figure: `${found.toFixed(2)} (${shown(median(one))} s / ${shown(median(two))} s)`, met: kind === "most" ? found <= limit : found >= limit };
}

/** Projects of some size, made and run from nothing once; one that fails is left out, and said to be. */
class Prepared {
  readonly #bench: Bench;
  readonly #known = new Map<string, { readonly project: Project; readonly cold: Use } | undefined>();
  readonly left: string[] = [];

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  get(runner: Runner, targets: number): Project | undefined {
    const key = `${runner.name} ${targets}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#make(runner, targets));
    return this.#known.get(key)?.project;
  }

  /** What the run from nothing took. */
  cold(runner: Runner, targets: number): Use | undefined {
    this.get(runner, targets);
    return this.#known.get(`${runner.name} ${targets}`)?.cold;
  }

  #make(runner: Runner, targets: number): { readonly project: Project; readonly cold: Use } | undefined {
    if (targets > (runner.most ?? Infinity)) return undefined;
    this.#bench.say(`${runner.name}: ${targets} targets from nothing`);
    try {
      const project = new Project(this.#bench, runner, targets);
      // A peer may be slow once, so that its unchanged runs can be measured.
      const cold = project.run(5);
      project.run();
      return { project, cold };
    } catch (error) {
      if (runner.name.startsWith("imgtask")) throw error;
      this.left.push(`${runner.name} at ${targets} targets: ${(error as Error).message.split("\n")[0]}`);
      return undefined;
    }
  }
}

function unchanged(bench: Bench, prepared: Prepared, targets: number): Report {
  const runners = [imgtaskRunners(bench.imgtask).javascript, ...bench.peers.runners];
  const projects = runners.flatMap((runner) => prepared.get(runner, targets) ?? []);
  for (const project of projects.slice(1)) project.compare(projects[0]!);
  bench.say(`${targets} targets, unchanged`);
  // What takes seconds is not what is compared closely.
  const [fast, slow] = [projects.filter(({ runner }) => runner.most === undefined), projects.filter(({ runner }) => runner.most !== undefined)];
  const cases = (some: readonly Project[]): Parameters<typeof byTurns>[1] => some.map((project) => ({ what: project.runner.name, measure: () => project.run().seconds, against: "make" }));
  const rows = [
    ...byTurns(Math.max(bench.runs, 5) * (targets > 1000 ? 1 : 2), [
      { what: "`node -e 0`", measure: () => time([process.execPath, "-e", "0"], { cwd: bench.place, log: join(bench.place, "node.log") }) },
      ...cases(fast),
    ]),
    ...byTurns(Math.min(bench.runs, 3), cases(slow)),
  ];
  const what = `unchanged, ${targets.toLocaleString("en")} targets`;
  const findings = targets === 50
    ? [ratio(rows, `${what}, through the installed binary`, "<= 1.7 × `node -e 0`", ["imgtask", "`node -e 0`"], 1.7)]
    : targets === 1000
      ? [ratio(rows, what, "<= 0.85 × make", ["imgtask", "make"], 0.85), ratio(rows, what, ">= 15 × faster than wireit", ["wireit", "imgtask"], 15, "least")]
      : [ratio(rows, what, "<= 0.15 × make", ["imgtask", "make"], 0.15), ratio(rows, what, "<= 4 × ninja", ["imgtask", "ninja"], 4)];
  return { findings, parts: [table(`${targets} targets, unchanged`, rows)] };
}

function fromNothing(bench: Bench, prepared: Prepared, targets: number): Report {
  const { javascript, exec } = imgtaskRunners(bench.imgtask);
  const projects = [javascript, exec, ...bench.peers.runners].flatMap((runner) => prepared.get(runner, targets) ?? []);
  for (const project of projects.slice(1)) project.compare(projects[0]!);
  bench.say(`${targets} targets from nothing`);
  const label = ({ runner: { name } }: Project): string => (name === "imgtask" ? "imgtask, recipes in JavaScript" : name);
  const rows: readonly Row[] = [
    ...byTurns(bench.runs, projects.filter(({ runner }) => runner.most === undefined).map((project) => ({
      what: label(project),
      prepare: () => project.forget(),
      measure: () => project.run().seconds,
      against: "make",
    }))),
    // Once is enough for what takes many times as long.
    ...projects.filter(({ runner }) => runner.most !== undefined).map((project) => ({ what: label(project), seconds: [prepared.cold(project.runner, targets)!.seconds], against: "make" })),
  ];
  const what = `${targets.toLocaleString("en")} trivial targets from nothing`;
  return {
    findings: [
      ratio(rows, `${what}, recipes by exec, as make's`, "<= 1.15 × `make -j2`", ["imgtask, recipes by exec", "make"], 1.15),
      ratio(rows, `${what}, recipes in JavaScript`, "<= 1.15 × `make -j2`", ["imgtask, recipes in JavaScript", "make"], 1.15),
    ],
    parts: [table(`${targets} targets from nothing`, rows)],
  };
}

/** One of the last layer's files changes, so that one target is to be made. */
function oneChanged(bench: Bench, prepared: Prepared, targets: number): Report {
  const runner = imgtaskRunners(bench.imgtask).javascript;
  const projects = [runner, ...bench.peers.runners].flatMap((one) => prepared.get(one, targets) ?? []);
  const alone = prepared.get(runner, 1)!;
  bench.say(`one file changed of ${targets}`);
  const label = ({ runner: { name } }: Project): string => name;
  const rows = byTurns(Math.max(bench.runs, 5), [
    { what: "alone, unchanged", measure: () => alone.run().seconds },
    { what: "alone, changed", prepare: (round) => alone.edit(0, round), measure: () => alone.run().seconds },
    ...projects.flatMap((project) => [
      // A run in between sees the change of the round before.
      { what: `${label(project)}, unchanged`, prepare: () => void project.run(), measure: () => project.run().seconds },
      { what: `${label(project)}, one changed`, prepare: (round: number) => project.edit(targets - 50, round), measure: () => project.run().seconds, against: `${label(project)}, unchanged` },
    ]),
  ]);
  const of = (what: string): number => median(rows.find((row) => row.what === what)!.seconds);
  const itself = Math.max(0, of("alone, changed") - of("alone, unchanged"));
  const found = of("imgtask, one changed") / (of("imgtask, unchanged") + itself);
  const figure = `${found.toFixed(2)} (${shown(of("imgtask, one changed"))} s / (${shown(of("imgtask, unchanged"))} s + ${shown(itself)} s))`;
  return {
    findings: [{ what: `one file changed of ${targets.toLocaleString("en")}`, aim: "<= 1.5 × (unchanged + the target itself)", figure, met: found <= 1.5 }],
    parts: [table(`one file changed of ${targets}`, rows), "The target itself: one changed target alone in a project, less that project unchanged.\n"],
  };
}

/** `why` after a run that had nothing to do, and with an edited file. */
function why(bench: Bench, prepared: Prepared, targets: number): Report {
  const project = prepared.get(imgtaskRunners(bench.imgtask).javascript, targets)!;
  bench.say(`why at ${targets} targets`);
  const asked = (): number => time([bench.imgtask, "why", `part:${targets - 50}`], { cwd: project.directory, log: join(bench.place, "why.log") });
  project.run();
  project.edit(targets - 50, 0);
  const edited = byTurns(Math.max(bench.runs, 5), [{ what: "why, of an edited target", measure: asked }]);
  project.run();
  const rows = [...byTurns(Math.max(bench.runs, 5), [{ what: "unchanged", measure: () => project.run().seconds }, { what: "why", measure: asked, against: "unchanged" }]), ...edited];
  const what = `\`why\` at ${targets.toLocaleString("en")} targets`;
  return {
    findings: [ratio(rows, what, "<= 2 × unchanged", ["why", "unchanged"], 2), ratio(rows, `${what}, before the run`, "<= 2 × unchanged", ["why, of an edited target", "unchanged"], 2)],
    parts: [table(`why at ${targets} targets`, rows)],
  };
}

function memory(bench: Bench, prepared: Prepared, targets: number): Report {
  const runner = imgtaskRunners(bench.imgtask).javascript;
  const rows = [runner, ...bench.peers.runners].flatMap((one) => {
    const project = prepared.get(one, targets);
    return project === undefined ? [] : [{ name: one.name, cold: prepared.cold(one, targets)?.memory, unchanged: project.run().memory }];
  });
  const shownMemory = (value: number | undefined): string => (value === undefined ? "not measured" : value.toFixed(0));
  const { cold, unchanged: noop } = rows[0]!;
  const figure = cold === undefined || noop === undefined ? "GNU time is missing" : `${shownMemory(cold)} MB from nothing, ${shownMemory(noop)} MB unchanged`;
  const lines = rows.map(({ name, cold: a, unchanged: b }) => `| ${name} | ${shownMemory(a)} | ${shownMemory(b)} |`);
  return {
    findings: [{ what: `peak memory at ${targets.toLocaleString("en")} targets`, aim: "<= 200 MB", figure, met: cold === undefined || noop === undefined ? undefined : Math.max(cold, noop) <= 200 }],
    parts: [`### Peak memory at ${targets} targets, largest process\n\n| | from nothing, MB | unchanged, MB |\n|---|---:|---:|\n${lines.join("\n")}\n`],
  };
}

const cases: Readonly<Record<string, (bench: Bench, prepared: Prepared) => Report>> = {
  "noop-50": (bench, prepared) => unchanged(bench, prepared, 50),
  "noop-1000": (bench, prepared) => unchanged(bench, prepared, 1000),
  "cold-1000": (bench, prepared) => fromNothing(bench, prepared, 1000),
  "why-1000": (bench, prepared) => why(bench, prepared, 1000),
  "noop-10000": (bench, prepared) => unchanged(bench, prepared, 10_000),
  "change-10000": (bench, prepared) => oneChanged(bench, prepared, 10_000),
  "memory-10000": (bench, prepared) => memory(bench, prepared, 10_000),
  sparse: (bench) => benchSparse(bench),
};

/** Names of the cases. */
export const caseNames: readonly string[] = Object.keys(cases);

/** Measures some cases; a table of aims, then what was measured. */
export function benchEngine(bench: Bench, only: readonly string[]): string {
  const prepared = new Prepared(bench);
  const reports = only.map((name) => cases[name]!(bench, prepared));
  const findings = reports.flatMap(({ findings: some }) => some);
  const aims = findings.map(({ what, aim, figure, met }) => `| ${what} | ${aim} | ${figure} | ${met === undefined ? "not measured" : met ? "met" : "**not met**"} |`);
  const { versions, missing } = bench.peers;
  const limited = bench.peers.runners.filter(({ most }) => most !== undefined).map(({ name }) => name);
  return [
    "### Aims\n\n| case | aim | found | |\n|---|---|---|---|", ...aims, "",
    ...reports.flatMap(({ parts }) => parts),
    `Peers: ${versions.join("; ") || "none"}.`,
    ...(limited.length === 0 ? [] : [`Not measured at 10,000 targets, where they take minutes: ${limited.join(", ")}. One run of a peer may take ${bench.patience} s, the first five times as long.`]),
    ...[...missing, ...prepared.left].map((line) => `Left out: ${line}.`),
    "",
  ].join("\n");
}
