/**
 * Reasons from differences: each kind of them by its exact data, and over random manifests never a difference of
 * the fingerprints without a reason, nor a reason without a difference.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { difference } from "../../lib/difference.ts";
import { type Digest, digestOf } from "../../lib/digest.ts";
import type { Reason } from "../../lib/event.ts";
import { fingerprint, manifest, type Resolution, type SourceEntry } from "../../lib/fingerprint.ts";
import type { Declaration, InputRef, Json } from "../../lib/target.ts";
import { declared } from "../rig/declaration.ts";

const d = (text: string): Digest => digestOf(text);
const now = (parts: Partial<Resolution> = {}): Resolution => ({ recipe: d("recipe"), inputs: new Map(), env: {}, epoch: 1, tools: {}, ...parts });

test("each kind of difference gives its reason, and only that", () => {
  const base = declared("a:1", {
    params: { size: "1G" }, env: ["TOKEN"], platform: "x86_64",
    inputs: { "inputs.up": { type: "artifact", target: "b:1", output: "out" }, "inputs.dir": { type: "source", path: "dir" } },
  });
  const file = (content: string, mode = "0644"): string => `file ${mode} ${d(content)}`;
  const entries: readonly SourceEntry[] = [{ path: "dir", content: "directory 0755" }, { path: "dir/a b", content: file("a") }, { path: "dir/l", content: "link a b" }];
  const parts = { inputs: new Map<string, Digest | readonly SourceEntry[]>([["inputs.up", d("up")], ["inputs.dir", entries]]), env: { TOKEN: "x" }, tools: { tar: "1.34" } };
  const before = manifest(base, now(parts));
  const check = (expected: readonly Reason[], declaration: Declaration, resolution: Resolution): void => {
    assert.deepEqual(difference(before, manifest(declaration, resolution)), expected);
    assert.equal(fingerprint(base, now(parts)) === fingerprint(declaration, resolution), expected.length === 0);
  };
  const inputs = (key: string, value: Digest | readonly SourceEntry[]) => new Map(parts.inputs).set(key, value);
  const dir = (...list: readonly SourceEntry[]): Resolution => now({ ...parts, inputs: inputs("inputs.dir", list) });
  const [top, one, link] = entries as readonly [SourceEntry, SourceEntry, SourceEntry];
  check([], base, now(parts));
  check([{ type: "recipe", module: "imagefile", from: d("recipe"), to: d("other") }], base, now({ ...parts, recipe: d("other") }));
  check([{ type: "recipe", module: "plugins/x/mod", from: d("recipe"), to: d("recipe") }], { ...base, module: "file:///x/plugins/x/mod.js" }, now(parts));
  check([{ type: "option", name: "size", from: '"1G"', to: '"2G"' }], { ...base, params: { size: "2G" } }, now(parts));
  check([{ type: "option", name: "more", from: undefined, to: "true" }], { ...base, params: { size: "1G", more: true } }, now(parts));
  check([{ type: "upstream", target: "b:1", output: "out", from: d("up"), to: d("new") }], base, now({ ...parts, inputs: inputs("inputs.up", d("new")) }));
  check([{ type: "source", path: "dir/a b", change: "changed", details: [{ what: "content" }] }], base, dir(top, { ...one, content: file("b") }, link));
  check([{ type: "source", path: "dir/a b", change: "changed", details: [{ what: "mode", from: "0644", to: "0600" }] }], base, dir(top, { ...one, content: file("a", "0600") }, link));
  check([{ type: "source", path: "dir/a b", change: "changed", details: [{ what: "content" }, { what: "mode", from: "0644", to: "0600" }] }], base, dir(top, { ...one, content: file("b", "0600") }, link));
  check([{ type: "source", path: "dir/a b", change: "changed", details: [{ what: "kind", from: "file", to: "link" }] }], base, dir(top, { ...one, content: "link x" }, link));
  check([{ type: "source", path: "dir/l", change: "changed", details: [{ what: "link", from: "a b", to: "a  b" }] }], base, dir(top, one, { ...link, content: "link a  b" }));
  check([{ type: "source", path: "dir", change: "changed", details: [{ what: "mode", from: "0755", to: "0700" }] }], base, dir({ ...top, content: "directory 0700" }, one, link));
  check([{ type: "source", path: "dir/c", change: "added", details: [] }], base, dir(...entries, { path: "dir/c", content: "link x" }));
  check([{ type: "source", path: "dir/a b", change: "removed", details: [] }], base, dir(top, link));
  check([{ type: "input", name: "inputs.dir", from: "dir", to: "./dir" }], { ...base, inputs: { ...base.inputs, "inputs.dir": { type: "source", path: "./dir" } } }, now(parts));
  check([{ type: "environment", name: "TOKEN", change: "unset" }], base, now({ ...parts, env: {} }));
  check([{ type: "environment", name: "TOKEN", change: "changed" }], base, now({ ...parts, env: { TOKEN: "" } }));
  check([{ type: "environment", name: "TOKEN", change: "no longer declared" }], { ...base, env: [] }, now(parts));
  check([{ type: "environment", name: "MORE", change: "declared" }], { ...base, env: ["TOKEN", "MORE"] }, now(parts));
  check([], { ...base, env: ["TOKEN", "TOKEN"] }, now(parts));
  check([{ type: "tool", name: "tar", from: "1.34", to: "1.35" }], base, now({ ...parts, tools: { tar: "1.35" } }));
  check([{ type: "outputs", name: "out", from: '{"form":"file","type":"file"}', to: '{"form":"tree","type":"tree"}' }], { ...base, outputs: { out: { form: "tree", type: "tree" } } }, now(parts));
  check([{ type: "manifest", key: "epoch", from: "1", to: "2" }], base, now({ ...parts, epoch: 2 }));
  check([{ type: "manifest", key: "platform", from: "x86_64", to: "aarch64" }], { ...base, platform: "aarch64" }, now(parts));
});

test("an unset variable that is set is told as that", () => {
  const declaration = declared("a:1", { env: ["TOKEN"] });
  assert.deepEqual(difference(manifest(declaration, now()), manifest(declaration, now({ env: { TOKEN: "1" } }))), [{ type: "environment", name: "TOKEN", change: "set" }]);
});

test("a list of plain values is one option, wherever it changed; anything else goes leaf by leaf", () => {
  const change = (before: Json, after: Json): readonly Reason[] => difference(manifest(declared("a:1", { params: before }), now()), manifest(declared("a:1", { params: after }), now()));
  const option = (name: string, from: string | undefined, to: string | undefined): Reason => ({ type: "option", name, from, to });
  assert.deepEqual(change({ p: ["a", "c"] }, { p: ["a", "b", "c"] }), [option("p", '["a","c"]', '["a","b","c"]')]);
  assert.deepEqual(change({ p: [] }, { p: [1] }), [option("p", "[]", "[1]")]);
  assert.deepEqual(change({}, { p: [1, 2] }), [option("p", undefined, "[1,2]")]);
  assert.deepEqual(change({ p: "x" }, { p: ["x"] }), [option("p", '"x"', '["x"]')]);
  assert.deepEqual(change(["a"], ["b", "a"]), [option("", '["a"]', '["b","a"]')]);
  assert.deepEqual(change({ p: [{ n: 1 }, { n: 2 }] }, { p: [{ n: 1 }, { n: 3 }] }), [option("p.1.n", "2", "3")]);
  assert.deepEqual(change({ "p.0": 1 }, { "p.0": 2 }), [option("p\\.0", "1", "2")]);
  assert.deepEqual(change({ p: { "0": 1 } }, { p: { "0": 2 } }), [option("p.\\0", "1", "2")]);
});

test("an output that is still to be made is no difference, but reading it for the first time is", () => {
  const reads = (...names: readonly string[]): Declaration => declared("a:1", { inputs: Object.fromEntries(names.map((name) => [`inputs.${name}`, { type: "artifact", target: `${name}:1`, output: "out" }])) });
  const before = manifest(reads("b"), now({ inputs: new Map([["inputs.b", d("b")]]) }));
  assert.deepEqual(difference(before, manifest(reads("b"), now())), []);
  assert.deepEqual(difference(before, manifest(reads("b", "c"), now())).map((reason) => reason.type), ["upstream"]);
});

test("the more telling reason comes first, and a changed meaning of manifests stands alone", () => {
  const before = manifest(declared("a:1", { params: { a: 1 } }), now({ tools: { tar: "1" } }));
  assert.deepEqual(difference(before, manifest(declared("a:1", { params: { a: 2 } }), now({ tools: { tar: "2" }, recipe: d("x"), epoch: 2 }))).map(({ type }) => type), ["option", "tool", "recipe", "manifest"]);
  assert.deepEqual(difference(before.map(([key, value]) => [key, key === "schema" ? "0" : value] as const), before), [{ type: "manifest", key: "schema", from: "0", to: before[0]![1] }]);
});

/** Random numbers that are the same every time: mulberry32. */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const words = ["a", "b", "a.b", "a b", "a\\", "\\e", "", "0", "1", "a b c", "#", "c#out", "ä", "\ud800", "\udc00", "x\ny", "unset", "[]", "{}"] as const;

test("over random targets, reasons and fingerprints never contradict each other", (t) => {
  const next = random(4711);
  const pick = <T>(list: readonly T[]): T => list[next(list.length)]!;
  const json = (depth: number): Json => {
    const kind = next(depth > 0 ? 7 : 5);
    if (kind < 5) return [null, next(2) === 0, next(3), pick(words), String(next(3))][kind] as Json;
    if (kind === 5) return Array.from({ length: next(3) }, () => json(depth - 1));
    return Object.fromEntries(Array.from({ length: next(3) }, () => [pick(words), json(depth - 1)]));
  };
  const some = (list: readonly string[]): readonly string[] => Array.from({ length: next(3) }, () => pick(list));
  const refs = [
    { type: "source", path: "a" }, { type: "source", path: "b c" }, { type: "glob", patterns: ["a"] }, { type: "glob", patterns: ["b c"] }, { type: "glob", patterns: ["b", "c"] },
    { type: "artifact", target: "b:1", output: "out" }, { type: "artifact", target: "b:1", output: "log" },
  ] as const satisfies readonly InputRef[];
  const contents = [`file 0644 ${d("a")}`, `file 0644 ${d("b")}`, `file 0755 ${d("a")}`, "directory 0755", "link a", "link a b"];
  const paths = ["a", "b", "b c", "c", "a b"];
  /** One side of a comparison; a small world, so that two of them are often the same. */
  const side = (): readonly [Declaration, Resolution] => {
    const inputs = Object.fromEntries(some(["x", "x y", "y", "x\\", "x b"]).map((key) => [key, pick(refs)]));
    const resolved = new Map(Object.entries(inputs).map(([key, input]) => [
      key, input.type === "artifact" ? d(pick(["1", "2"])) : [...new Set(some(paths))].sort().map((path) => ({ path, content: pick(contents) })),
    ]));
    const declaration = declared("a:1", {
      params: json(2), inputs, env: some(["A", "B", "A B"]),
      outputs: Object.fromEntries(some(["out", "log"]).map((name) => [name, { form: pick(["file", "tree"] as const), type: "x" }])),
      ...(next(3) === 0 ? { platform: pick(["x86_64", "aarch64"]) } : {}), ...(next(3) === 0 ? { module: pick(["file:///p/plugins/x.js", "file:///p/plugins/y.js"]) } : {}),
    });
    return [declaration, now({ recipe: d(pick(["1", "2"])), inputs: resolved, env: next(2) === 0 ? {} : { A: pick(["", "unset", "1"]) }, epoch: 1 + next(2), tools: Object.fromEntries(some(["tar", "t r"]).map((name) => [name, pick(["1", "2"])])) })];
  };
  /** The same side with one part of another. */
  const mixed = (of: readonly [Declaration, Resolution]): readonly [Declaration, Resolution] => {
    const [declaration, resolution] = side();
    const part = next(8);
    if (part === 0) return [{ ...of[0], params: declaration.params }, of[1]];
    if (part === 1) return [{ ...of[0], env: declaration.env }, of[1]];
    if (part === 2) return [{ ...of[0], outputs: declaration.outputs }, of[1]];
    if (part === 3) return [{ ...of[0], inputs: declaration.inputs }, { ...of[1], inputs: resolution.inputs }];
    if (part === 4) return [of[0], { ...of[1], tools: resolution.tools }];
    if (part === 5) return [of[0], { ...of[1], env: resolution.env }];
    if (part === 6) return [of[0], { ...of[1], recipe: resolution.recipe }];
    return [{ ...of[0] }, { ...of[1] }];
  };
  let same = 0, different = 0;
  for (let round = 0; round < 20_000; round++) {
    const a = side();
    const b = next(4) === 0 ? side() : mixed(a);
    const before = manifest(...a), after = manifest(...b);
    for (const lines of [before, after]) assert.equal(new Set(lines.map(([key]) => key)).size, lines.length, "keys are unique");
    const reasons = difference(before, after);
    const equal = fingerprint(...a) === fingerprint(...b);
    assert.equal(reasons.length === 0, equal, JSON.stringify({ before, after, reasons }));
    assert.deepEqual(difference(JSON.parse(JSON.stringify(before)) as typeof before, after), reasons, "as from a record");
    if (equal) same++;
    else different++;
  }
  assert.ok(same > 1000 && different > 1000);
  t.diagnostic(`${same} pairs with one fingerprint and no reason, ${different} with two and at least one`);
});
