/**
 * The engine beside other task runners: the same generated graph for each, and how long it takes to find that nothing
 * is to be done. N targets in layers of 100: target i reads a file of its own and the output of target i - 100.
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { byTurns, has, type Row, table, time, versionOf } from "./measure.ts";

const repository = resolve(import.meta.dirname, "../..");
const main = join(repository, "dist/lib/cli/main.js");
const layer = 100;

/** Bytes that look random and are the same each time. */
function bytes(seed: number): Buffer {
  let state = (seed + 1) * 2654435761;
  return Buffer.from(Array.from({ length: 1024 }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24));
}

const below = (i: number): string => (i < layer ? "" : ` out/${i - layer}`);
const command = (i: number): string => (i < layer ? `cat src/${i} > out/${i}` : `(cat src/${i}; head -c 64 out/${i - layer}) > out/${i}`);

const imagefile = (targets: number): string => `import { readFileSync, writeFileSync } from "node:fs";
import { output, source, target, type Artifact } from "imgtask";

const made: { readonly outputs: { readonly out: Artifact<"part"> } }[] = [];
for (let i = 0; i < ${targets}; i++) {
  made.push(target(\`part:\${i}\`, {
    inputs: { own: source(\`src/\${i}\`), below: i < ${layer} ? [] : [made[i - ${layer}]!] },
    outputs: { out: output("file", "part", { path: \`out/\${i}\` }) },
    run: ({ inputs, outputs }) => writeFileSync(outputs.out, Buffer.concat([readFileSync(inputs.own), ...inputs.below.map((path) => readFileSync(path).subarray(0, 64))])),
  }));
}
`;

/** Writes the graph for every runner, each in a directory of its own. */
function generate(place: string, targets: number): Readonly<Record<"imgtask" | "make" | "ninja", string>> {
  const places = { imgtask: join(place, "imgtask"), make: join(place, "make"), ninja: join(place, "ninja") };
  for (const directory of Object.values(places)) {
    mkdirSync(join(directory, "src"), { recursive: true });
    mkdirSync(join(directory, "out"));
    for (let i = 0; i < targets; i++) writeFileSync(join(directory, "src", String(i)), bytes(i));
  }
  const all = Array.from({ length: targets }, (_, i) => i);
  const last = all.slice(-layer).map((i) => `out/${i}`).join(" ");
  writeFileSync(join(places.make, "Makefile"), `all: ${last}\n${all.map((i) => `out/${i}: src/${i}${below(i)}\n\t@${command(i)}\n`).join("")}`);
  writeFileSync(join(places.ninja, "build.ninja"), `${all.map((i) => `rule r${i}\n  command = ${command(i)}\nbuild out/${i}: r${i} src/${i}${below(i)}\n`).join("")}build all: phony ${last}\ndefault all\n`);
  writeFileSync(join(places.imgtask, "imagefile.ts"), imagefile(targets));
  writeFileSync(join(places.imgtask, "package.json"), `{ "type": "module", "private": true }`);
  mkdirSync(join(places.imgtask, "node_modules"));
  symlinkSync(repository, join(places.imgtask, "node_modules/imgtask"));
  return places;
}

/** Runs everything once from nothing, then measures that nothing is to be done, the runners by turns. */
export function benchEngine(bench: { readonly runs: number; readonly place: string; readonly sizes: readonly number[]; readonly say: (line: string) => void }): string {
  const parts: string[] = [];
  const runs = Math.max(bench.runs, 5);
  for (const targets of bench.sizes) {
    const place = join(bench.place, String(targets));
    const places = generate(place, targets);
    const all: readonly { readonly name: keyof typeof places; readonly argv: readonly [string, ...string[]] }[] = [
      { name: "imgtask", argv: [process.execPath, main, "run", "part:*"] },
      { name: "make", argv: ["make", "-s", "-j2"] },
      { name: "ninja", argv: ["ninja", "--quiet"] },
    ];
    const runners = all.filter(({ name }) => name === "imgtask" || has(name));
    const here = (name: keyof typeof places): { cwd: string; log: string } => ({ cwd: places[name], log: join(place, `${name}.log`) });
    bench.say(`${targets} targets`);
    const cold = new Map(runners.map(({ name, argv }) => [name, time(argv, here(name))]));
    for (const { name } of runners) {
      const same = spawnSync("diff", ["-r", join(places[name], "out"), join(places.imgtask, "out")]);
      if (same.status !== 0) throw new Error(`${name} and imgtask made different files`);
    }
    const rows: readonly Row[] = [
      ...byTurns(runs, [
        { what: "`node -e 0`", measure: () => time([process.execPath, "-e", "0"], { cwd: place, log: join(place, "node.log") }) },
        ...runners.map(({ name, argv }) => ({ what: `${name}, unchanged`, measure: () => time(argv, here(name)), against: name === "imgtask" && targets < 200 ? "`node -e 0`" : "make, unchanged" })),
      ]),
      ...runners.map(({ name }) => ({ what: `${name}, from nothing`, seconds: [cold.get(name)!], against: "make, from nothing" })),
    ];
    parts.push(table(`${targets} targets`, rows));
    rmSync(place, { recursive: true });
  }
  return `${parts.join("\n")}\n${versionOf("make", "--version")}; ${versionOf("ninja", "--version")}\n`;
}
