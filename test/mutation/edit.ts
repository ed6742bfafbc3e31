/**
 * Edits of the project, generated from a seed, each with the targets that can see it. Knows nothing of how imgtask
 * finds out.
 * @module
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { files, locals, sites } from "./base.ts";

/** An edit of a copy of the project. */
export interface Edit {
  readonly what: string;
  /** Targets whose own fingerprint it changes; none for a neutral edit. */
  readonly seen: readonly string[];
  readonly apply: (directory: string) => void;
  readonly env?: Readonly<Record<string, string>>;
  /** Version of the tool `stamper`. */
  readonly tool?: string;
}

/** A small generator of random numbers (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const code = Object.keys(files).filter((path) => path.endsWith(".ts") && !path.startsWith("node_modules"));

function rewrite(directory: string, path: string, change: (text: string) => string): void {
  const before = readFileSync(join(directory, path), "utf8");
  const after = change(before);
  if (after === before) throw new Error(`the edit of ${path} changes nothing`);
  writeFileSync(join(directory, path), after);
}

const edited = (what: string, path: string, seen: readonly string[], change: (text: string) => string): Edit => ({ what: `${path}: ${what}`, seen, apply: (directory) => rewrite(directory, path, change) });
const once = (text: string, from: string, to: string): string => {
  if (text.split(from).length !== 2) throw new Error(`${JSON.stringify(from)} does not stand there exactly once`);
  return text.replace(from, () => to);
};

/** Line numbers after which a comment or an empty line may stand: not within a template or a literal that spans lines. */
function between(text: string, below: (n: number) => number): number {
  const lines = text.split("\n");
  return below(lines.length - 1);
}

function withLine(text: string, at: number, line: string): string {
  const lines = text.split("\n");
  lines.splice(at, 0, line);
  return lines.join("\n");
}

/** Shuffles the import lines at the head of a file. */
function shuffleImports(text: string, drawn: number): string {
  const lines = text.split("\n");
  const count = lines.findIndex((line) => !line.startsWith("import "));
  const head = lines.slice(0, count), by = 1 + (drawn % Math.max(1, count - 1));
  return [...head.slice(by), ...head.slice(0, by), ...lines.slice(count)].join("\n");
}

/** Paragraphs that only declare functions, types and plain constants: their order is free. */
const free = /^(?:export )?(?:function|interface|const \w+ = (?:"[^"]*"|\d+|\{ low)|const width)/;

function reorder(text: string): string {
  const parts = text.trimEnd().split(/\n\n(?=\S)/);
  const places = parts.flatMap((part, index) => (free.test(part) ? [index] : []));
  if (places.length < 2) return `${text}\nfunction neverCalled(): void {}\n`;
  const moved = [...parts];
  places.forEach((place, index) => (moved[place] = parts[places[(index + 1) % places.length]!]!));
  return `${moved.join("\n\n")}\n`;
}

/** Moves a module and mends the imports of and in it. */
function move(directory: string, from: string, to: string): void {
  const fix = (path: string, text: string, at: string): string =>
    text.replace(/(from ")(\.{1,2}\/[^"]+)(")/g, (_, before: string, specifier: string, after: string) => {
      const meant = join(dirname(path), specifier);
      const now = relative(dirname(at), meant === from ? to : meant);
      return `${before}${now.startsWith(".") ? now : `./${now}`}${after}`;
    });
  for (const path of code) {
    const at = path === from ? to : path;
    const text = fix(path, readFileSync(join(directory, path), "utf8"), at);
    mkdirSync(dirname(join(directory, at)), { recursive: true });
    if (path === from) rmSync(join(directory, path));
    writeFileSync(join(directory, at), text);
  }
}

function neutral(below: (n: number) => number): readonly Edit[] {
  const list: Edit[] = [];
  for (const path of code) {
    const text = files[path]!;
    const drawn = below(1000);
    for (let n = 0; n < 3; n++) {
      const at = between(text, below), remark = below(1000);
      list.push(edited(`a comment before line ${at + 1}`, path, [], (before) => withLine(before, at, n === 1 ? `/* ${remark}\n   import "./x.ts" */` : `// remark ${remark}`)));
    }
    const at = between(text, below);
    list.push(
      edited(`an empty line before line ${at + 1}`, path, [], (before) => withLine(before, at, "")),
      ...(/^ /m.test(text) ? [edited("indentation", path, [], (before) => before.replace(/^( +)/gm, "$1$1"))] : []),
      edited("line ends", path, [], (before) => before.replaceAll("\n", "\r\n")),
      edited("spaces before semicolons, and an empty statement", path, [], (before) => before.replace(/^(.*[^;{}\s]);$/gm, (line, rest: string) => (/^(?:import|export \{)/.test(line) ? line : `${rest} ;`)).concat("\n;")),
      edited("a type", path, [], (before) => `${before}\nexport type Never${drawn} = { readonly a: string } | number;\n`),
      edited("an interface", path, [], (before) => before.replace(/\n\n/, `\n\ninterface Extra { b(): number }\n\n`).concat("\ninterface Last {}\n")),
      edited("a function that nothing uses", path, [], (before) => `${before}\nexport function spare${drawn}(n: number): number { return n + ${drawn}; }\n`),
      edited("the order of declarations", path, [], reorder),
    );
    if (/"[^"'\n]*"/.test(text)) list.push(edited("quotes", path, [], (before) => before.replace(/"([^"'\\\n]*)"/g, "'$1'")));
    if ((text.match(/^import /gm) ?? []).length > 1) list.push(edited("the order of imports", path, [], (before) => shuffleImports(before, drawn)));
    if (/: string\b/.test(text)) list.push(edited("annotations", path, [], (before) => before.replace(/\): string( \{| =>)/g, "): string & {}$1").replace(/(\w): string([,)])/g, "$1: string | never$2").concat("\nexport {};\n")));
    for (const name of locals[path] ?? []) {
      list.push(edited(`the local name ${name}`, path, [], (before) => before.replace(new RegExp(`(?<!(?<!\\.\\.)\\.)(?<![\\w"#])${name}\\b`, "g"), `${name}Renamed`)));
    }
    if (path !== "imagefile.ts") {
      const to = join("moved", `${below(100)}-${path.split("/").at(-1)!}`);
      list.push({ what: `${path} moved to ${to}`, seen: [], apply: (directory) => move(directory, path, to) });
    }
  }
  list.push(
    edited("layout of JSON", "data/words.json", [], (text) => JSON.stringify(JSON.parse(text), undefined, 4)),
    edited("a file that nothing reads", "unrelated.txt", [], (text) => `${text}more\n`),
    edited("a file that a pattern leaves out", "overlay/skip/ignored", [], (text) => `${text}more\n`),
    edited("what nothing uses", "lib/text.ts", [], (text) => once(text, `text + "?"`, `text + "??"`)),
    edited("a re-export that nothing uses", "lib/index.ts", [], (text) => once(text, "title as heading", "banner as heading")),
    edited("the code of a package of the same version", "node_modules/left-trim/index.d.ts", [], (text) => `${text}\n`),
    { what: "another environment variable", seen: [], apply: () => {}, env: { OTHER: "1" } },
    { what: "an unused file appears", seen: [], apply: (directory) => writeFileSync(join(directory, "lib/spare.ts"), "export const spare = 1;\n") },
  );
  return list;
}

function telling(below: (n: number) => number): readonly Edit[] {
  const list: Edit[] = sites.flatMap(([path, from, to, users]) => to.map((instead) => edited(`${JSON.stringify(from)} → ${JSON.stringify(instead)}`, path, users, (text) => once(text, from, instead))));
  const remove = (path: string, seen: readonly string[]): Edit => ({ what: `${path} removed`, seen, apply: (directory) => rmSync(join(directory, path)) });
  const add = (path: string, seen: readonly string[], content = `new ${below(1000)}\n`): Edit => ({ what: `${path} added`, seen, apply: (directory) => { mkdirSync(dirname(join(directory, path)), { recursive: true }); writeFileSync(join(directory, path), content); } });
  const mode = (path: string, bits: number, seen: readonly string[]): Edit => ({ what: `mode of ${path} ${bits.toString(8)}`, seen, apply: (directory) => chmodSync(join(directory, path), bits) });
  const link = (path: string, to: string, seen: readonly string[]): Edit => ({ what: `${path} → ${to}`, seen, apply: (directory) => { rmSync(join(directory, path)); symlinkSync(to, join(directory, path)); } });
  const version = (to: string): Edit => ({
    what: `left-trim ${to}`,
    seen: ["step:count"],
    apply: (directory) => ["package.json", "index.js"].forEach((name) => rewrite(directory, `node_modules/left-trim/${name}`, (text) => once(text, "1.0.0", to))),
  });
  list.push(
    remove("overlay/etc/hosts", ["tree:overlay"]), add("overlay/etc/issue", ["tree:overlay"]), add("overlay/usr/share/doc", ["tree:overlay"]), add("overlay/.hidden", ["tree:overlay"]),
    remove("links/other", ["tree:links"]), add("links/third", ["tree:links"]),
    mode("overlay/etc/motd", 0o755, ["tree:overlay"]), mode("overlay/etc/hosts", 0o600, ["tree:overlay"]), mode("links/real", 0o755, ["tree:links"]),
    link("links/to", "other", ["tree:links"]), link("links/to", "nowhere", ["tree:links"]), link("overlay/etc/link", "hosts", []),
    version("1.0.1"), version("2.0.0"), version("1.0.0-beta"),
    ...["1", "5", "9", ""].map((value): Edit => ({ what: `LEVEL=${JSON.stringify(value)}`, seen: ["report:level"], apply: () => {}, env: { LEVEL: value } })),
    ...["1.2.4", "2.0", "10.0.1"].map((tool): Edit => ({ what: `stamper ${tool}`, seen: ["report:stamp"], apply: () => {}, tool })),
  );
  return list;
}

/** All edits of a seed. */
export function edits(seed: number): readonly Edit[] {
  const below = random(seed);
  return [...neutral(below), ...telling(below)];
}
