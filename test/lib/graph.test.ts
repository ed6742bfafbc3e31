/**
 * The graph: edges, refusals, selection, order, and that large graphs take near linear time.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildGraph, closure, select } from "../../lib/graph.ts";
import { nearest } from "../../lib/nearest.ts";
import { declared, reading } from "../rig/declaration.ts";

const file = (path: string) => ({ out: { form: "file", type: "file", path } }) as const;

test("edges are drawn by inputs and by membership", () => {
  const graph = buildGraph([reading("a:1"), reading("b:1", "a:1"), declared("all", { kind: "group", members: ["b:1"], outputs: {} })]);
  assert.deepEqual(graph.get("b:1")!.dependencies, ["a:1"]);
  assert.deepEqual(graph.get("a:1")!.dependents, ["b:1"]);
  assert.deepEqual(graph.get("all")!.dependencies, ["b:1"]);
});

test("two targets of one name are refused with both places", () => {
  assert.throws(() => buildGraph([declared("a:1"), declared("a:1", { location: { file: "/project/imagefile.ts", line: 9 } })]), {
    code: "IMG2010",
    exitCode: 2,
    message: /"a:1"/,
    found: "the first at /project/imagefile.ts:3, the second at /project/imagefile.ts:9",
  });
});

test("an input that no target makes is refused", () => {
  assert.throws(() => buildGraph([reading("b:1", "a:1")]), { code: "IMG2011", message: /a:1#out/ });
});

test("a cycle is named in full, also one through a source below an output", () => {
  assert.throws(() => buildGraph([reading("a:1", "c:1"), reading("b:1", "a:1"), reading("c:1", "b:1")]), { code: "IMG2012", message: /a:1 → c:1 → b:1 → a:1/ });
  const own = declared("a:1", { inputs: { "inputs.x": { type: "source", path: "./out//a/../a/x" } }, outputs: file("out/a") });
  assert.throws(() => buildGraph([own]), { code: "IMG2012", message: /a:1 → a:1/ });
});

test("a source that another target makes is refused", () => {
  const maker = declared("a:1", { outputs: file("out/a") });
  const reader = declared("b:1", { inputs: { "inputs.x": { type: "source", path: "out/a" } } });
  assert.throws(() => buildGraph([maker, reader]), { code: "IMG2013", hint: /handle of "a:1"/ });
});

test("a directory read as a source holds no output", () => {
  const maker = declared("a:1", { outputs: file("config/made/a") });
  const reader = declared("b:1", { inputs: { "inputs.x": { type: "source", path: "config" } } });
  assert.throws(() => buildGraph([maker, reader]), { code: "IMG2013" });
  const own = declared("c:1", { inputs: { "inputs.x": { type: "source", path: "." } }, outputs: file("artifacts/c") });
  assert.throws(() => buildGraph([own]), { code: "IMG2012" });
});

test("outputs never share a path, in whatever order they are declared", () => {
  for (const [one, two] of [["x/y", "x/y"], ["x", "x/y/z"], ["x/y/z", "x"], ["x-{time}", "x-{time}"]] as const) {
    assert.throws(() => buildGraph([declared("a:1", { outputs: file(one) }), declared("b:1", { outputs: file(two) })]), { code: "IMG2014", message: /"a:1" and "b:1"/ }, `${one} ${two}`);
  }
  buildGraph([declared("a:1", { outputs: file("x/y") }), declared("b:1", { outputs: file("x/yz") }), declared("c:1", { outputs: file("xy") })]);
});

test("an unknown name is answered with the nearest one", () => {
  const graph = buildGraph([declared("iso:kali"), declared("disk:debian")]);
  assert.throws(() => select(graph, ["iso:kli"]), { code: "IMG2004", hint: 'Did you mean "iso:kali"?', exitCode: 2 });
  assert.throws(() => select(graph, ["iso:*x"]), { code: "IMG2004" });
  assert.throws(() => select(graph, ["disk:"]), { hint: 'Did you mean "disk:debian"?' });
  assert.throws(() => select(graph, ["kali"]), { hint: 'Did you mean "iso:kali"?' });
  assert.equal(nearest("ios", ["iso", "disk"]), "iso");
  assert.equal(nearest("zzzzzz", ["iso", "disk"]), undefined);
});

test("patterns match any run of characters and nothing else is special", () => {
  const graph = buildGraph([declared("iso:a.b"), declared("iso:axb"), declared("disk:a")]);
  assert.deepEqual(select(graph, ["iso:a.*"]), ["iso:a.b"]);
  assert.deepEqual(select(graph, ["*:a*"]), ["iso:a.b", "iso:axb", "disk:a"]);
  assert.deepEqual(select(graph, ["disk:a", "*"]), ["iso:a.b", "iso:axb", "disk:a"]);
});

test("the closure has dependencies first and keeps the order of declaration", () => {
  const graph = buildGraph([reading("z:1"), reading("m:1"), reading("z:2", "z:1"), reading("a:2", "z:1"), reading("a:1", "m:1"), reading("end:1", "a:2", "z:2")]);
  assert.deepEqual(closure(graph, ["end:1", "a:1"]), ["z:1", "m:1", "z:2", "a:2", "a:1", "end:1"]);
  assert.deepEqual(closure(graph, ["a:1"]), ["m:1", "a:1"]);
});

test("a chain of 10,000 targets, each with an output path, takes under a second", () => {
  const declarations = Array.from({ length: 10_000 }, (_, i) => ({ ...(i === 0 ? reading("t:0") : reading(`t:${i}`, `t:${i - 1}`)), outputs: file(`artifacts/t/${i}`) }));
  const began = performance.now();
  const graph = buildGraph(declarations);
  const order = closure(graph, ["t:9999"]);
  const took = performance.now() - began;
  assert.equal(order.length, 10_000);
  assert.equal(order[9_999], "t:9999");
  assert.ok(took < 1000, `took ${took} ms`);
});
