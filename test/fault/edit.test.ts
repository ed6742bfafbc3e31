/**
 * Edits while targets run, also such that are put back before the end: what was read may not be what is there, so the
 * result of an edited run is not recorded, and the next run makes it anew. What was not edited is kept.
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { note, preamble, TestProject } from "../rig/project.ts";
import { stack } from "../rig/layers.ts";

const rounds = 10;

type Moment = "before reading" | "after reading";

/** An edit of what one target reads, and whether the target's result is worthless then. */
interface Edit {
  readonly name: string;
  /** @default "before reading" */
  readonly at?: Moment;
  readonly does: (place: Place) => void;
  /** Done when the recipe has read. */
  readonly after?: (place: Place) => void;
  /** Whether what is read is the same before, during and after. @default false */
  readonly harmless?: boolean;
}

/** What one target reads: `file`, `dir/`, `glob/*.txt`, and `link`, which leads to `linked`. */
class Place {
  readonly directory: string;
  readonly round: number;
  readonly output: string;

  constructor(directory: string, round: number, output: string) {
    this.directory = directory;
    this.round = round;
    this.output = output;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** Text as long as what stands there, and another one. */
  other(name: string): string {
    const now = readFileSync(this.path(name), "utf8");
    return (now.startsWith("B") ? "C" : "B") + now.slice(1);
  }

  kept = "";
  times = { atime: new Date(0), mtime: new Date(0) };
  /** Notes what stands there, for {@linkcode putBack}. */
  keep(name: string): void {
    this.kept = readFileSync(this.path(name), "utf8");
    this.times = lstatSync(this.path(name));
  }
  putBack(name: string): void {
    writeFileSync(this.path(name), this.kept);
  }
  replace(name: string, text: string): void {
    writeFileSync(`${this.directory}.new`, text);
    renameSync(`${this.directory}.new`, this.path(name));
  }
}

const edits: readonly Edit[] = [
  { name: "nothing", does: () => {}, harmless: true },
  { name: "new content", does: (place) => writeFileSync(place.path("file"), place.other("file")) },
  { name: "new content once it was read", at: "after reading", does: (place) => writeFileSync(place.path("file"), place.other("file")) },
  { name: "new content with the old time stamps", does: (place) => { place.keep("file"); writeFileSync(place.path("file"), place.other("file")); utimesSync(place.path("file"), place.times.atime, place.times.mtime); } },
  { name: "replaced by another file", does: (place) => place.replace("file", place.other("file")) },
  { name: "put back in place", does: (place) => { place.keep("file"); writeFileSync(place.path("file"), place.other("file")); }, after: (place) => place.putBack("file") },
  { name: "put back by renaming", does: (place) => { place.keep("file"); place.replace("file", place.other("file")); }, after: (place) => place.replace("file", place.kept) },
  { name: "moved away and back, another one in between", does: (place) => { renameSync(place.path("file"), place.path("aside")); writeFileSync(place.path("file"), "between\n"); }, after: (place) => renameSync(place.path("aside"), place.path("file")) },
  { name: "appended to", at: "after reading", does: (place) => writeFileSync(place.path("file"), "more\n", { flag: "a" }) },
  { name: "emptied and written again", does: (place) => { place.keep("file"); writeFileSync(place.path("file"), ""); }, after: (place) => place.putBack("file") },
  { name: "made executable", does: (place) => chmodSync(place.path("file"), lstatSync(place.path("file")).mode ^ 0o111) },
  { name: "a file more in the directory", does: (place) => writeFileSync(place.path(`dir/more-${place.round}`), "more\n") },
  { name: "a file of the directory edited and put back", does: (place) => { place.keep("dir/a"); writeFileSync(place.path("dir/a"), place.other("dir/a")); }, after: (place) => place.putBack("dir/a") },
  { name: "a file more under the pattern", at: "after reading", does: (place) => writeFileSync(place.path(`glob/more-${place.round}.txt`), "more\n") },
  { name: "a file less under the pattern", does: (place) => { for (const name of readdirSync(place.path("glob"))) unlinkSync(place.path(`glob/${name}`)); }, after: (place) => writeFileSync(place.path(`glob/c-${place.round}.txt`), "c\n") },
  { name: "a link that leads elsewhere", does: (place) => { unlinkSync(place.path("link")); symlinkSync(place.round % 2 === 0 ? "linked-2" : "linked", place.path("link")); } },
  { name: "what the link leads to", does: (place) => writeFileSync(place.path("linked"), `linked ${place.round}\n`) },
  { name: "the output, which is no input", at: "after reading", does: (place) => { if (existsSync(place.output)) { chmodSync(place.output, 0o644); writeFileSync(place.output, "edited"); } }, harmless: true },
];

const imagefile = `${preamble}import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
const until = async (name) => { const signs = fromOutside("SIGNS"); while (signs && !existsSync(signs + "/" + name)) await sleep(5); };
const sign = (name) => fromOutside("SIGNS") && writeFileSync(fromOutside("SIGNS") + "/" + name, "");
export default group("all", Array.from({ length: ${edits.length} }, (_, i) => target("make:" + i, {
  resources: { cpu: 0 },
  inputs: { file: source("in/" + i + "/file"), dir: source("in/" + i + "/dir"), glob: source.glob("in/" + i + "/glob/*.txt"), link: source("in/" + i + "/link") },
  params: { i, stamp: fromOutside("STAMP") }, outputs: { out: output("file", "x", { path: "artifacts/" + i }) },
  async run({ target, params, inputs, outputs }) {
    ${note}
    sign("started-" + params.i);
    await until("read-" + params.i);
    const seen = [inputs.file, ...readdirSync(inputs.dir).sort().map((name) => inputs.dir + "/" + name), ...inputs.glob.filter((path) => existsSync(path)), inputs.link].map((path) => readFileSync(path, "utf8"));
    writeFileSync(outputs.out, seen.join(""));
    sign("has-read-" + params.i);
    await until("end-" + params.i);
  },
})));
`;

/** What a target's result is when nothing changes any more. */
function truth(project: TestProject, i: number): string {
  const directory = project.path(`in/${i}`);
  const below = (name: string, end: string): readonly string[] => readdirSync(`${directory}/${name}`).filter((one) => one.endsWith(end)).sort().map((one) => `${directory}/${name}/${one}`);
  return [`${directory}/file`, ...below("dir", ""), ...below("glob", ".txt"), `${directory}/link`].map((path) => readFileSync(path, "utf8")).join("");
}

async function until(what: () => boolean, failed: () => string): Promise<void> {
  for (let i = 0; !what(); i++) {
    if (i > 6000) throw new Error(failed());
    await sleep(5);
  }
}

test(`${rounds} rounds of ${edits.length} targets, each edited in its own way while it runs`, { timeout: 600_000 }, async (t) => {
  const made = new TestProject({ "imagefile.ts": imagefile });
  t.after(() => made.eject());
  for (const i of edits.keys()) {
    for (const [name, text] of Object.entries({ file: "A file\n", "dir/a": "A in dir\n", "glob/b.txt": "A matched\n", linked: "linked\n", "linked-2": "linked 2\n" })) made.write(`in/${i}/${name}`, text);
    symlinkSync("linked", made.path(`in/${i}/link`));
  }
  let harmful = 0, harmless = 0, warned = 0, again = 0;
  for (let round = 0; round < rounds; round++) {
    const signs = made.path(`../signs-${round}`);
    mkdirSync(signs);
    const sign = (name: string): void => writeFileSync(`${signs}/${name}`, "");
    const { finished } = made.start(["run", "-j64"], { env: { SIGNS: signs, STAMP: String(round) } });
    let ended: string | undefined;
    void finished.then(({ stderr }) => (ended = stderr));
    await Promise.all(
      edits.map(async ({ does, after, at = "before reading" }, i) => {
        const place = new Place(made.path(`in/${i}`), round, made.path(`artifacts/${i}`));
        const seen = (name: string): Promise<void> => until(() => ended !== undefined || existsSync(`${signs}/${name}-${i}`), () => `${name} ${i}`);
        await seen("started");
        if (at === "before reading") does(place);
        sign(`read-${i}`);
        await seen("has-read");
        if (at === "after reading") does(place);
        after?.(place);
        sign(`end-${i}`);
      }),
    );
    const { code, stderr } = await finished;
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, stack);
    warned += stderr.split("IMG3014").length - 1;
    assert.equal(made.ran().length, edits.length);
    const next = await made.start(["run"], { env: { STAMP: String(round) } }).finished;
    assert.equal(next.code, 0, next.stderr);
    const ran = made.ran();
    for (const [i, { name, harmless: kept = false }] of edits.entries()) {
      const where = `round ${round}, ${name}`;
      if (kept) harmless++;
      else harmful++;
      if (ran.includes(`make:${i}`)) again++;
      assert.equal(made.read(`artifacts/${i}`), truth(made, i), `${where}: wrong fresh`);
      assert.equal(ran.includes(`make:${i}`), !kept, `${where}: ${kept ? "a good result was not kept" : "the result of an edited run was recorded"}`);
    }
  }
  t.diagnostic(`edits while targets run: ${harmful} edits (${edits.length - 2} ways) and ${harmless} runs without; ${warned} were warned of, ${again} made anew; 0 wrong fresh, 0 results of edited runs recorded, 0 of ${harmless} good results lost`);
});

const coded = `${preamble}import { tool } from "imgtask";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { word } from "./helper.ts";
const wait = async (name) => { const SIGNS = fromOutside("SIGNS"); if (!SIGNS || !existsSync(SIGNS)) return; writeFileSync(SIGNS + "/at-" + name, ""); while (existsSync(SIGNS + "/hold-" + name)) await sleep(5); };
await wait("evaluation");
export default target("make:it", {
  inputs: { seed: source("seed") }, tools: [tool("slow", { packages: {} })], outputs: { out: output("file", "x", { path: "artifacts/it" }) },
  async run({ target, inputs, outputs }) { ${note} await wait("recipe"); writeFileSync(outputs.out, word + readFileSync(inputs.seed, "utf8")); },
});
`;

const slow = `#!/bin/sh
if [ -n "$SIGNS" ] && [ -e "$SIGNS" ]; then : >"$SIGNS/at-probe"; while [ -e "$SIGNS/hold-probe" ]; do sleep 0.01; done; fi
echo 1.0
`;

for (const moment of ["evaluation", "probe", "recipe"] as const) {
  test(`the code edited during the ${moment}, 8 times`, { timeout: 300_000 }, async (t) => {
    const made = new TestProject({ "imagefile.ts": coded, "helper.ts": `export const word = "A";\n`, seed: "0", "bin/slow": slow });
    t.after(() => made.eject());
    chmodSync(made.path("bin/slow"), 0o755);
    const signs = made.path("../signs");
    const env = { PATH: `${made.path("bin")}:${process.env["PATH"]}`, SIGNS: signs };
    const run = async (context: string, expected: string): Promise<void> => {
      const { code, stderr } = await made.start(["run"], { env }).finished;
      assert.equal(code, 0, `${context}: ${stderr}`);
      assert.equal(made.read("artifacts/it"), expected, `${context}: wrong fresh\n${stderr}`);
    };
    await run("first", "A0");
    let word = "A", refused = 0;
    for (let round = 1; round <= 8; round++) {
      made.write("seed", String(round));
      // The tool is asked again for its version, and, half of the times, the imagefile evaluated anew.
      utimesSync(made.path("bin/slow"), round, round);
      if (moment === "evaluation" || round % 2 === 0) made.write("imagefile.ts", `${coded}// ${round}\n`);
      mkdirSync(signs);
      writeFileSync(`${signs}/hold-${moment}`, "");
      const { finished } = made.start(["run"], { env });
      let ended: string | undefined;
      void finished.then(({ stderr }) => (ended = stderr));
      await until(() => ended !== undefined || existsSync(`${signs}/at-${moment}`), () => moment);
      assert.equal(ended, undefined, ended);
      const before = word;
      word = word === "A" ? "B" : "A";
      made.write("helper.ts", `export const word = "${word}";\n`);
      rmSync(signs, { recursive: true });
      const { code, stderr } = await finished;
      assert.doesNotMatch(stderr, stack);
      if (code !== 0) {
        refused++;
        assert.match(stderr, /IMG\d{4}/);
      }
      // Each of the two contents must give its own result from now on.
      if (round % 3 !== 0) await run(`round ${round}, after the edit`, `${word}${round}`);
      made.write("helper.ts", `export const word = "${before}";\n`);
      await run(`round ${round}, put back`, `${before}${round}`);
      made.write("helper.ts", `export const word = "${word}";\n`);
      await run(`round ${round}, edited again`, `${word}${round}`);
    }
    t.diagnostic(`code edited during the ${moment}: 8 edits, ${refused} runs refused to go on; 0 wrong fresh`);
  });
}
