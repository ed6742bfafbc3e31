/**
 * Listing, show and graph of a small graph.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { buildGraph, type Graph } from "../../../lib/graph.ts";
import { which } from "../../../lib/process.ts";
import { dot, graphData, mermaid } from "../../../lib/report/graph-text.ts";
import { listing, listingData } from "../../../lib/report/listing.ts";
import { show } from "../../../lib/report/show.ts";
import type { Declaration } from "../../../lib/target.ts";

const declare = (name: string, more: Partial<Declaration> = {}): Declaration => ({
  name, kind: name.split(":")[0]!, inputs: {}, params: {}, env: [], tools: [], outputs: { out: { form: "file", type: "file" } },
  resources: { cpu: 1 }, members: [], ...more,
});

const graph: Graph = buildGraph([
  declare("rootfs:debian", { description: "Debian" }),
  declare("disk:end", {
    description: "A disk", location: { file: "/p/imagefile.ts", line: 3, column: 5 }, env: ["TOKEN"], platform: "x86_64",
    inputs: { "inputs.rootfs": { type: "artifact", target: "rootfs:debian", output: "out" }, "inputs.motd": { type: "source", path: "motd" }, "params.all": { type: "glob", patterns: ["a/**", "!a/b"] } },
    params: { size: "8G", all: { $input: "params.all" } },
    tools: [{ type: "tool", name: "mke2fs", versionArgs: ["-V"], versionPattern: "x", min: "1.47", packages: {} }],
    outputs: { out: { form: "file", type: "disk", path: "artifacts/disk/end.raw" }, log: { form: "file", type: "file" } },
  }),
  declare("all", { kind: "group", outputs: {}, members: ["disk:end"] }),
  declare("rootfs:a.b_c+d-e", {}),
]);

test("the list, by kind, aligned, with the default marked", () => {
  assert.equal(listing(graph, { default: "all", color: false }), `rootfs
  rootfs:debian     Debian
  rootfs:a.b_c+d-e

disk
  disk:end          A disk

group
* all               disk:end

* is built by \`imgtask run\` without names
`);
  assert.equal(listing(new Map(), { default: undefined, color: false }), "The imagefile declares no targets\n");
  const data = listingData(graph, { default: undefined }) as { default: unknown; targets: { name: string }[] };
  assert.equal(data.default, null);
  assert.deepEqual(data.targets[1], {
    name: "disk:end", kind: "disk", description: "A disk", dependencies: ["rootfs:debian"],
    outputs: [{ name: "out", form: "file", type: "disk", path: "artifacts/disk/end.raw" }, { name: "log", form: "file", type: "file", path: null }],
  });
});

test("all of one target", () => {
  assert.equal(show(graph.get("disk:end")!, { color: false, cwd: "/p" }), `disk:end
  A disk
inputs
  inputs.rootfs  rootfs:debian
  inputs.motd    source motd
  params.all     source a/** !a/b
outputs
  out  disk (file)  artifacts/disk/end.raw
  log  file  in the store
env
  TOKEN
tools
  mke2fs  >= 1.47
params
  {
    "size": "8G",
    "all": {
      "$input": "params.all"
    }
  }
platform
  x86_64
needed by
  all
declared
  imagefile.ts:3:5
`);
});

test("the graph as Mermaid text: numbered nodes, quoted labels, each edge once", () => {
  assert.equal(mermaid(graph, [...graph.keys()]), `flowchart LR
  n0["rootfs:debian"]
  n1["disk:end"]
  n2["all"]
  n3["rootfs:a.b_c+d-e"]
  n0 --> n1
  n1 --> n2
`);
});

test("the graph as DOT text", () => {
  const text = dot(graph, [...graph.keys()]);
  assert.equal(text, `digraph imgtask {
  rankdir=LR;
  node [shape=box];
  "rootfs:debian";
  "disk:end";
  "all";
  "rootfs:a.b_c+d-e";
  "rootfs:debian" -> "disk:end";
  "disk:end" -> "all";
}
`);
  assert.deepEqual((graphData(graph, ["disk:end"]) as { edges: unknown[] }).edges, []);
});

test("Graphviz reads the DOT text", { skip: which("dot") === undefined ? "needs graphviz" : false }, () => {
  const { status, stdout } = spawnSync("dot", ["-Tplain"], { input: dot(graph, [...graph.keys()]), encoding: "utf8" });
  assert.equal(status, 0);
  assert.equal(stdout.split("\n").filter((line) => line.startsWith("node ")).length, 4);
  assert.equal(stdout.split("\n").filter((line) => line.startsWith("edge ")).length, 2);
});
