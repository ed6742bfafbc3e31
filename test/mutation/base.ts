/**
 * The project that is mutated: targets in several modules, helpers two modules away, an installed package, a glob, a
 * tree with links, a declared environment variable, a tool, a built-in kind. Who can see what is stated beside it, by
 * construction, for the edits.
 * @module
 */

/** Text files of the project, by path. */
export const files: Readonly<Record<string, string>> = {
  "package.json": `{ "type": "module" }\n`,
  "imagefile.ts": `import { dirs, group, output, source, target } from "imgtask";
import { writeFileSync } from "node:fs";
import trim from "left-trim";
import { banner, title } from "./lib/text.ts";
import * as numbers from "./lib/numbers.ts";
import words from "./data/words.json" with { type: "json" };
import { level, stamp } from "./parts/report.ts";
import { links, overlay } from "./parts/tree.ts";
import { table } from "./parts/table.ts";

const pages = [{ name: "alpha", size: 11 }, { name: "beta", size: 22 }, { name: "gamma", size: 33 }];
const width = 40, suffix = "end";

function frame(text: string, edge: string): string {
  const inner = text.padEnd(width, ".");
  return edge + inner + edge;
}

function step(name: \`step:\${string}\`, run: (context: { outputs: { out: string } }) => void) {
  return target(name, { outputs: { out: output("file", "text", { path: \`artifacts/\${name.slice(5)}.txt\` }) }, run });
}

for (const { name, size } of pages) {
  target(\`page:\${name}\`, {
    params: { name, size },
    outputs: { out: output("file", "page", { path: \`artifacts/page-\${name}.txt\` }) },
    run({ params, outputs }) {
      const heading = title(params.name);
      const lines = [heading, String(params.size * 3), frame(heading, "|")];
      writeFileSync(outputs.out, lines.join("\\n"));
    },
  });
}

export const bannered = step("step:banner", ({ outputs }) => {
  let text = "";
  for (let i = 0; i < 3; i++) text += banner("hello " + i);
  writeFileSync(outputs.out, text + suffix);
});

export const counted = step("step:count", ({ outputs }) => {
  const total = numbers.sum([1, 2, 3]);
  const { label, ...rest } = { label: "total", unit: "pieces" };
  writeFileSync(outputs.out, trim("   " + label) + total + JSON.stringify(rest) + \`<\${total > 5 ? "many" : "few"}>\`);
});

export const worded = step("step:words", ({ outputs }) => {
  const all: string[] = [];
  for (const word of words.list) all.push(word.toUpperCase());
  writeFileSync(outputs.out, all.join("-") + words.end);
});

const together = target("join:all", {
  inputs: { bannered, counted },
  outputs: { out: output("file", "text", { path: "artifacts/join.txt" }) },
  async run({ inputs, outputs, exec }) {
    await exec(["cat", "--", inputs.bannered, inputs.counted], { stdout: { file: outputs.out } });
  },
});

const places = dirs("work", { directories: dirs.list(source("config/directories.txt"), { under: "/srv" }), host: "artifacts/work" });

export default group("all", [together, worded, level, stamp, links, overlay, table, places]);
`,
  "parts/report.ts": `import { output, target, tool } from "imgtask";
import { writeFileSync } from "node:fs";
import { rule } from "../lib/deep/marks.ts";

const limits = { low: 3, high: 7 };

export const level = target("report:level", {
  env: ["LEVEL"],
  outputs: { out: output("file", "text", { path: "artifacts/level.txt" }) },
  run({ env, outputs }) {
    const value = Number(env.LEVEL ?? "5");
    const verdict = value < limits.low ? "low" : value > limits.high ? "high" : "middle";
    writeFileSync(outputs.out, verdict + value + limits.low + limits.high);
  },
});

export const stamp = target("report:stamp", {
  tools: [tool("stamper", { packages: { apt: "stamper" } })],
  outputs: { out: output("file", "text", { path: "artifacts/stamp.txt" }) },
  async run({ outputs, exec }) {
    const { stdout } = await exec(["stamper", "--now"], { stdout: "capture" });
    writeFileSync(outputs.out, stdout.trim() + rule(4));
  },
});
`,
  "parts/tree.ts": `import { output, source, target } from "imgtask";
import { lstatSync, readFileSync, readlinkSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

function describe(path: string): string {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return "link " + readlinkSync(path);
  return (stat.mode & 0o777).toString(8) + " " + readFileSync(path, "utf8");
}

export const overlay = target("tree:overlay", {
  inputs: { files: source.glob("overlay/**", "!overlay/skip/**") },
  outputs: { out: output("file", "text", { path: "artifacts/overlay.txt" }) },
  run({ inputs, outputs }) {
    const found = inputs.files.map((path) => path.replace(/^.*overlay./, "") + ": " + describe(path));
    writeFileSync(outputs.out, found.sort().join("\\n"));
  },
});

export const links = target("tree:links", {
  inputs: { from: source("links") },
  outputs: { out: output("file", "text", { path: "artifacts/links.txt" }) },
  run({ inputs, outputs }) {
    const names = readdirSync(inputs.from).sort();
    writeFileSync(outputs.out, names.map((name) => name + " = " + describe(join(inputs.from, name))).join("\\n"));
  },
});
`,
  "parts/table.ts": `import { output, target } from "imgtask";
import { writeFileSync } from "node:fs";
import { Table } from "../lib/table.ts";
import { scale } from "../lib/index.ts";

export const table = target("code:table", {
  outputs: { out: output("file", "text", { path: "artifacts/table.txt" }) },
  run({ outputs }) {
    const made = new Table("name", 9);
    made.add("one", scale(1));
    made.add("two", scale(2));
    writeFileSync(outputs.out, made.print());
  },
});
`,
  "lib/text.ts": `import { mark, rule } from "./deep/marks.ts";

const opening = "<<";

export function title(text: string): string {
  const first = text.charAt(0).toUpperCase();
  return first + text.slice(1) + ":";
}

export const banner = (text: string): string => {
  const line = rule(text.length + 2);
  return [line, opening + mark(text), line].join("\\n");
};

export function unusedTitle(text: string): string {
  return text + "?";
}
`,
  "lib/deep/marks.ts": `const sign = "*";

export function mark(text: string): string {
  return sign + text.trim() + "!";
}

export function rule(length: number): string {
  let line = "";
  for (let at = 0; at < length; at++) {
    line += at % 2 === 0 ? "=" : "-";
  }
  return line;
}
`,
  "lib/numbers.ts": `export interface Range {
  readonly from: number;
  readonly to: number;
}

const start = 10;

export function sum(values: readonly number[]): number {
  let total = start;
  for (const value of values) {
    if (value !== 2) total += value * 2;
  }
  return total;
}

export function scale(value: number): number {
  const factor = 4;
  return value * factor - 1;
}
`,
  "lib/index.ts": `export { scale } from "./numbers.ts";
export { title as heading } from "./text.ts";
`,
  "lib/table.ts": `import { column } from "./deep/column.ts";

export class Table {
  readonly #rows: string[] = [];
  readonly #title: string;
  readonly #width: number;

  constructor(title: string, width: number) {
    this.#title = title;
    this.#width = width;
  }

  add(name: string, value: number): void {
    this.#rows.push(column(name, this.#width) + "|" + value);
  }

  print(): string {
    return [this.#title.toUpperCase(), ...this.#rows].join("\\n");
  }

  get count(): number {
    return this.#rows.length + 100;
  }
}
`,
  "lib/deep/column.ts": `export const column = (text: string, width: number): string => {
  const filled = text.padStart(width, "_");
  return filled.length > 20 ? filled.slice(0, 20) : filled;
};
`,
  "data/words.json": `{ "list": ["one", "two"], "end": "." }\n`,
  "config/directories.txt": "a/b\nc\n",
  "overlay/etc/motd": "welcome\n",
  "overlay/etc/hosts": "127.0.0.1 localhost\n",
  "overlay/skip/ignored": "x\n",
  "links/real": "real\n",
  "links/other": "other\n",
  "node_modules/left-trim/package.json": `{ "name": "left-trim", "version": "1.0.0", "type": "module", "main": "index.js", "types": "index.d.ts" }\n`,
  "node_modules/left-trim/index.js": `export default (text) => text.trimStart() + "1.0.0";\n`,
  "node_modules/left-trim/index.d.ts": `export default function trim(text: string): string;\n`,
  "unrelated.txt": "not read\n",
};

/** The targets, and what each reads of others. */
export const targets: Readonly<Record<string, readonly string[]>> = {
  "page:alpha": [], "page:beta": [], "page:gamma": [], "step:banner": [], "step:count": [], "step:words": [],
  "join:all": ["step:banner", "step:count"], "report:level": [], "report:stamp": [], "tree:overlay": [], "tree:links": [],
  "code:table": [], "dirs:work": [],
};

const pages = ["page:alpha", "page:beta", "page:gamma"], banner = ["step:banner"], count = ["step:count"], words = ["step:words"];
const level = ["report:level"], stamp = ["report:stamp"], overlay = ["tree:overlay"], links = ["tree:links"], table = ["code:table"];

/** Places in the code whose change can be seen: file, what stands there once, what may stand there instead, by whom. */
export const sites: readonly (readonly [file: string, from: string, to: readonly string[], users: readonly string[]])[] = [
  ["imagefile.ts", `size: 11`, ["size: 12", "size: -11"], ["page:alpha"]],
  ["imagefile.ts", `size: 22`, ["size: 23"], ["page:beta"]],
  ["imagefile.ts", `size: 33`, ["size: 34", "size: 0.5"], ["page:gamma"]],
  ["imagefile.ts", `width = 40`, ["width = 41", "width = 20 * 3"], pages],
  ["imagefile.ts", `suffix = "end"`, [`suffix = "END"`, `suffix = "end" + "!"`], banner],
  ["imagefile.ts", `padEnd(width, ".")`, [`padStart(width, ".")`, `padEnd(width, ",")`, `padEnd(width - 1, ".")`], pages],
  ["imagefile.ts", `edge + inner + edge`, [`edge + inner`, `inner + edge + edge`], pages],
  ["imagefile.ts", `params.size * 3`, ["params.size * 4", "params.size + 3", "params.size ** 3"], pages],
  ["imagefile.ts", `frame(heading, "|")`, [`frame(heading, "/")`, `frame(params.name, "|")`], pages],
  ["imagefile.ts", `[heading, String(`, [`["", heading, String(`], pages],
  ["imagefile.ts", `i < 3`, ["i < 4", "i <= 3"], banner],
  ["imagefile.ts", `"hello "`, [`"hallo "`, `"hello  "`], banner],
  ["imagefile.ts", `text += banner`, ["text = banner"], banner],
  ["imagefile.ts", `sum([1, 2, 3])`, ["sum([1, 2, 4])", "sum([3, 3])", "scale(6)"], count],
  ["imagefile.ts", `total > 5`, ["total < 5", "total > 50"], count],
  ["imagefile.ts", `"many"`, [`"more"`], count],
  ["imagefile.ts", `"   " + label`, [`"   " + label + " "`, `" x " + label`], count],
  ["imagefile.ts", `unit: "pieces"`, [`unit: "parts"`, `units: "pieces"`], count],
  ["imagefile.ts", "`<${", ["`< ${", "`<<${"], count],
  ["imagefile.ts", `word.toUpperCase()`, ["word", "word.toUpperCase().trim() + 1"], words],
  ["imagefile.ts", `all.join("-")`, [`all.join("+")`, `all.reverse().join("-")`], words],
  ["imagefile.ts", `inputs.bannered, inputs.counted`, ["inputs.counted, inputs.bannered", "inputs.bannered"], ["join:all"]],
  ["imagefile.ts", `host: "artifacts/work"`, [`host: "artifacts/works"`], ["dirs:work"]],
  ["parts/report.ts", `low: 3`, ["low: 2", "low: 1 + 1"], level],
  ["parts/report.ts", `high: 7`, ["high: 8"], level],
  ["parts/report.ts", `"middle"`, [`"between"`], level],
  ["parts/report.ts", `verdict + value +`, ["value + verdict +", "verdict +"], level],
  ["parts/report.ts", `rule(4)`, ["rule(5)", "rule(4 + 4)"], stamp],
  ["parts/report.ts", `stdout.trim()`, ["stdout", "stdout.trim().length"], stamp],
  ["parts/report.ts", `"--now"`, [`"--then"`], stamp],
  ["parts/tree.ts", `"link "`, [`"-> "`], links.concat(overlay)],
  ["parts/tree.ts", `toString(8)`, ["toString(10)", "toString(2)"], links.concat(overlay)],
  ["parts/tree.ts", `": " + describe`, [`" : " + describe`], overlay],
  ["parts/tree.ts", `" = " + describe`, [`" == " + describe`], links],
  ["parts/tree.ts", `/^.*overlay./`, ["/^.*overlay/"], overlay],
  ["parts/tree.ts", `"!overlay/skip/**"`, [`"!overlay/none/**"`], overlay],
  ["parts/table.ts", `new Table("name", 9)`, [`new Table("names", 9)`, `new Table("name", 10)`], table],
  ["parts/table.ts", `scale(1)`, ["scale(3)", "scale(1) + 1"], table],
  ["parts/table.ts", `"two"`, [`"zwei"`], table],
  ["lib/text.ts", `opening = "<<"`, [`opening = ">>"`], banner],
  ["lib/text.ts", `charAt(0)`, ["charAt(1)"], pages],
  ["lib/text.ts", `text.slice(1) + ":"`, [`text.slice(1) + ";"`, `text.slice(2) + ":"`], pages],
  ["lib/text.ts", `text.length + 2`, ["text.length + 3", "text.length - 2"], banner],
  ["lib/text.ts", `mark(text), line]`, ["mark(text)]", "mark(text), line, line]"], banner],
  ["lib/deep/marks.ts", `sign = "*"`, [`sign = "#"`], banner],
  ["lib/deep/marks.ts", `text.trim() + "!"`, [`text.trim() + "."`, `text.trim()`], banner],
  ["lib/deep/marks.ts", `at % 2 === 0`, ["at % 2 === 1", "at % 3 === 0", "at % 2 !== 0"], banner.concat(stamp)],
  ["lib/deep/marks.ts", `"=" : "-"`, [`"=" : "~"`, `"-" : "="`], banner.concat(stamp)],
  ["lib/deep/marks.ts", `at < length`, ["at <= length"], banner.concat(stamp)],
  ["lib/numbers.ts", `start = 10`, ["start = 11", "start = 5 - 10"], count],
  ["lib/numbers.ts", `value !== 2`, ["value !== 3", "value > 2"], count],
  ["lib/numbers.ts", `value * 2`, ["value * 3", "value + 2"], count],
  ["lib/numbers.ts", `factor = 4`, ["factor = 5"], table],
  ["lib/numbers.ts", `factor - 1`, ["factor - 2", "factor + 1"], table],
  ["lib/table.ts", `"|" + value`, [`":" + value`, `"|" + value * 2`], table],
  ["lib/table.ts", `.toUpperCase()`, [".trim()", ".toLowerCase() + 1"], table],
  ["lib/deep/column.ts", `padStart(width, "_")`, [`padEnd(width, "_")`, `padStart(width, " ")`], table],
  ["data/words.json", `"two"`, [`"three"`, `"two", "four"`], words],
  ["data/words.json", `"end": "."`, [`"end": "!"`], words],
  ["config/directories.txt", "c\n", ["d\n", "c\ne/f\n"], ["dirs:work"]],
  ["overlay/etc/motd", "welcome", ["good bye"], overlay],
  ["overlay/etc/hosts", "localhost", ["localhost local"], overlay],
  ["links/real", "real", ["unreal", "r"], links],
];

/** Names of one file's own that may be called otherwise. */
export const locals: Readonly<Record<string, readonly string[]>> = {
  "imagefile.ts": ["inner", "heading", "total", "together", "places", "rest", "frame", "lines", "suffix", "edge"],
  "parts/report.ts": ["limits", "verdict", "value"],
  "parts/tree.ts": ["describe", "stat", "found", "names"],
  "parts/table.ts": ["made"],
  "lib/text.ts": ["opening", "first", "line"],
  "lib/deep/marks.ts": ["sign", "at", "line"],
  "lib/numbers.ts": ["start", "factor", "values", "value"],
  "lib/deep/column.ts": ["filled", "text"],
};
