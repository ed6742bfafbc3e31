/**
 * `target()`, `group()` and `source()`: what is accepted, what becomes of handles, what is refused and where.
 * @module
 */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { output } from "../../lib/artifact.ts";
import { group, registry, source, target } from "../../lib/target.ts";

beforeEach(() => void (registry().targets.length = 0));

const run = (): void => {};
// Tests give what the type checker would refuse.
const declare = (name: unknown, spec: object = {}): unknown => target(name as string, { outputs: { out: "file" }, run, ...spec } as never);

test("names", () => {
  for (const name of ["a", "iso:kali", "iso:kali-2026.3_x+y", "A1:b2"]) declare(name);
  for (const name of ["", ":", "a:", ":a", "a:b:c", "a b", "a/b", "../a", "-a", ".a", "a\n", "ä", "a*", "x".repeat(201), undefined, null, 5, {}, "group", "group:a"]) {
    assert.throws(() => declare(name), { code: "IMG2001", exitCode: 2 }, String(name));
  }
});

test("handles anywhere become inputs, and references in the parameters", () => {
  const up = target("up:a", { outputs: { out: output("file", "text"), more: "tree" }, run });
  target("make:a", {
    inputs: { up, list: [up.outputs.more, source("a")] },
    params: { deep: [{ key: source("k"), n: 1, none: undefined }], all: source.glob("x/**", "!x/y"), plain: "s" },
    outputs: { out: "file" },
    run,
  });
  const { declaration } = registry().targets.at(-1)!;
  assert.deepEqual(declaration.inputs, {
    "inputs.up": { type: "artifact", target: "up:a", output: "out" },
    "inputs.list.0": { type: "artifact", target: "up:a", output: "more" },
    "inputs.list.1": { type: "source", path: "a" },
    "params.deep.0.key": { type: "source", path: "k" },
    "params.all": { type: "glob", patterns: ["x/**", "!x/y"] },
  });
  assert.deepEqual(declaration.params, { deep: [{ key: { $input: "params.deep.0.key" }, n: 1 }], all: { $input: "params.all" }, plain: "s" });
  assert.match(declaration.location!.file, /target\.test\.ts$/);
});

test("parameters that cannot be hashed are refused with their place", () => {
  class Custom {}
  const bad: readonly (readonly [unknown, string])[] = [
    [() => 1, "a function"], [Symbol("x"), "a symbol"], [1n, "a bigint"], [Number.NaN, "NaN"], [Infinity, "Infinity"], [new Date(0), "an object of class Date"],
    [new Map(), "an object of class Map"], [new Custom(), "an object of class Custom"], [/x/, "an object of class RegExp"], [Promise.resolve(), "an object of class Promise"],
    [{ $input: "inputs.x" }, 'the key "$input", which means something else here'], [JSON.parse('{"__proto__":{"a":1}}'), 'the key "__proto__", which means something else here'],
  ];
  for (const [value, found] of bad) assert.throws(() => declare("make:a", { params: { list: [value] } }), { code: "IMG2002", found, message: /params\.list\.0$/ }, found);
  assert.throws(() => declare("make:a", { params: { "a.0": source("x"), a: [source("y")] } }), { code: "IMG2002" });
  assert.throws(() => declare("make:a", { resources: { cpu: Number.NaN } }), { code: "IMG2002" });
});

test("a target without the output \"out\" stands for none, and what it has is named", () => {
  const two = target("part:two", { outputs: { left: "file", right: "file" }, run() {} });
  assert.throws(() => target("part:bad", { inputs: { below: [two as never] }, outputs: { out: "file" }, run() {} }), {
    code: "IMG2040", message: 'Target "part:bad" names "part:two" at inputs.below.0, which has no output "out"', expected: 'its "outputs.left" or its "outputs.right"',
  });
  // A plain object of this shape is no target.
  target("part:good", { params: { name: "x", outputs: { left: two.outputs.left, text: "t" } }, outputs: { out: "file" }, run() {} });
});

test("outputs stay in the project and have plain names", () => {
  for (const path of ["a", "artifacts/iso/x.iso", "a-{time}", "..a", "a..b/c"]) declare("make:a", { outputs: { out: output("file", "x", { path }) } });
  for (const path of ["", "/", "/a", "..", "../a", "a/../b", "a//b", "a/", ".", "./a", "a/.", ".imgtask", ".imgtask/x", "a\0b", "a\nb"]) {
    assert.throws(() => declare("make:a", { outputs: { out: output("file", "x", { path }) } }), { code: "IMG2003" }, path);
  }
  for (const name of ["", "..", "a/b", "../x", "1", "a b", "a.b"]) assert.throws(() => declare("make:a", { outputs: { [name]: "file" } }), { code: "IMG2003" }, name);
});

test("sources and groups", () => {
  for (const path of ["", "a\0b", undefined, 5]) assert.throws(() => source(path as string), { code: "IMG2006" });
  const made = target("make:a", { outputs: { out: "file" }, run });
  assert.deepEqual(group("all", [made, { name: "other" }]).members, ["make:a", "other"]);
  assert.throws(() => group("a b", []), { code: "IMG2001" });
});

test("a target is frozen, and so are its handles", () => {
  const made = target("make:a", { outputs: { out: "file" }, run });
  for (const value of [made, made.outputs, made.outputs.out]) assert.ok(Object.isFrozen(value));
});
