/**
 * Fingerprints: what they depend on, what they do not, and the reasons that differences give.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Digest, digestOf } from "../../lib/digest.ts";
import { fingerprint, manifest, type Resolution } from "../../lib/fingerprint.ts";
import type { Json } from "../../lib/target.ts";
import { declared } from "../rig/declaration.ts";

const d = (text: string): Digest => digestOf(text);
const now = (parts: Partial<Resolution> = {}): Resolution => ({ recipe: d("recipe"), inputs: new Map(), env: {}, epoch: 1, tools: {}, ...parts });
const of = (params: Json): Digest => fingerprint(declared("a:1", { params }), now());

test("the order of keys does not matter, by code unit and in every locale", () => {
  assert.equal(of({ b: 1, a: { "ä": 1, z: 2, Z: 3 } }), of({ a: { Z: 3, z: 2, "ä": 1 }, b: 1 }));
  const keys = manifest(declared("a:1", { params: { "ä": 1, z: 1, Z: 1, "0": 1 } }), now()).map(([key]) => key).filter((key) => key.startsWith("option"));
  assert.deepEqual(keys, ["option \\0", "option Z", "option z", "option ä"]);
});

test("different parameters have different fingerprints", () => {
  const all: Json[] = [
    null, "", "null", 0, 1, "1", true, "true", [], {}, [null], [[]], [1], ["1"], { "0": 1 }, { "": 1 }, { "": null }, { "\\e": 1 }, { e: 1 },
    { a: { b: 1 } }, { "a.b": 1 }, { "a\\.b": 1 }, { "a\\": { b: 1 } }, { "a.b": { c: 1 } }, { a: { "b.c": 1 } }, { a: { b: { c: 1 } } }, { "": { b: 1 } }, { b: 1 },
    { a: ["x", "y"] }, { a: ["xy"] }, { a: "x,y" }, { a: [["x"], "y"] }, { a: ["x", ["y"]] }, { a: { "0": "x", "1": "y" } }, { a: "x\ny" }, { a: "x\\ny" }, "\ud800", "\ud801",
  ];
  const seen = new Map<string, Json>();
  for (const params of all) {
    const print = of(params);
    assert.equal(seen.has(print), false, `${JSON.stringify(params)} and ${JSON.stringify(seen.get(print))}`);
    seen.set(print, params);
  }
});

test("keys of a manifest are unique, so that no difference is lost", () => {
  const lines = manifest(declared("a:1", { params: { "a.b": 1, a: { b: 2, "0": 3 }, c: [1, { "0": 2 }] } }), now());
  assert.equal(new Set(lines.map(([key]) => key)).size, lines.length);
});

test("descriptions and places are no part of it", () => {
  assert.equal(fingerprint(declared("a:1", { description: "x" }), now()), fingerprint(declared("a:1", { location: { file: "/elsewhere/imagefile.ts", line: 99 } }), now()));
});

test("where a built-in kind is installed is no part of it", () => {
  const at = (module: string) => fingerprint(declared("a:1", { module }), now());
  assert.equal(at("file:///one/node_modules/imgtask/dist/plugins/iso/mod.js"), at("file:///two/plugins/iso/mod.ts"));
  assert.notEqual(at("file:///one/plugins/iso/mod.js"), at("file:///one/plugins/disk/mod.js"));
});

test("values of environment variables do not stand in the manifest", () => {
  const text = JSON.stringify(manifest(declared("a:1", { env: ["TOKEN"] }), now({ env: { TOKEN: "canary-4711" } })));
  assert.equal(text.includes("canary-4711"), false);
});
