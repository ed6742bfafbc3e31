/**
 * Flipped bits and cut files in everything imgtask remembers: the next run notices, gives the right bytes, needs no
 * repair, and never takes for fresh what is not. With the real command line, a run for each.
 * @module
 */
import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync, truncateSync, utimesSync, writeSync } from "node:fs";
import { relative } from "node:path";
import { test, type TestContext } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { Records } from "../../lib/record.ts";
import { StatCache } from "../../lib/stat-cache.ts";
import { Store } from "../../lib/store.ts";
import { filesBelow, spread } from "../rig/fault.ts";
import { randomFrom } from "../rig/random.ts";
import { note, preamble, TestProject } from "../rig/project.ts";
import { stack } from "../rig/layers.ts";

const flips = 200, truncations = 100;

/** Files, an executable in a tree, and what is made from both; nothing that takes long. */
const imagefile = `import { tool } from "imgtask";
${preamble}import { chmodSync, mkdirSync, readFileSync as read } from "node:fs";
const one = target("make:one", {
  inputs: { a: source("a"), dir: source("dir") }, tools: [tool("bash", { packages: {} })], outputs: { out: output("file", "x", { path: "artifacts/one" }) },
  run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, "one " + read(inputs.a, "utf8").repeat(50)); },
});
const two = target("make:two", {
  inputs: { one, b: source("b") }, outputs: { out: output("tree", "x", { path: "artifacts/two" }) },
  run({ target, inputs, outputs }) {
    ${note}
    mkdirSync(outputs.out + "/d", { recursive: true });
    writeFileSync(outputs.out + "/d/x", "#!/bin/sh\\n");
    chmodSync(outputs.out + "/d/x", 0o755);
    writeFileSync(outputs.out + "/f", "two " + read(inputs.one, "utf8") + read(inputs.b, "utf8"));
  },
});
const three = target("make:three", {
  inputs: { two, c: source.glob("c/*") }, outputs: { out: output("file", "x", { path: "artifacts/three" }), unplaced: "file" },
  run({ target, inputs, outputs }) {
    ${note}
    writeFileSync(outputs.unplaced, "unplaced");
    writeFileSync(outputs.out, "three " + read(inputs.two + "/f", "utf8") + read(inputs.two + "/d/x", "utf8") + inputs.c.map((path) => read(path, "utf8")));
  },
});
export default group("all", [one, two, three]);
`;

class Remembering {
  readonly project: TestProject = new TestProject({ "imagefile.ts": imagefile, a: "a\n", b: "b\n", "c/1": "c1", "dir/x": "x" });
  #b = "b\n";
  #edits = 0;

  /** Changes what the second and the third target are made from. */
  edit(): void {
    this.#b = `b ${this.#edits++}\n`;
    this.project.write("b", this.#b);
  }

  async build(context: string): Promise<{ readonly stderr: string; readonly ran: readonly string[] }> {
    const { code, stderr, stdout } = await this.project.imgtask("run");
    assert.equal(code, 0, `${context}: ${stderr}`);
    assert.doesNotMatch(stderr + stdout, stack, context);
    const one = `one ${"a\n".repeat(50)}`, two = `two ${one}${this.#b}`;
    assert.equal(this.project.read("artifacts/one"), one, `${context}: artifacts/one`);
    assert.equal(this.project.read("artifacts/two/f"), two, `${context}: artifacts/two/f`);
    assert.equal(this.project.read("artifacts/two/d/x"), "#!/bin/sh\n", `${context}: artifacts/two/d/x`);
    assert.notEqual(statSync(this.project.path("artifacts/two/d/x")).mode & 0o111, 0, context);
    assert.equal(this.project.read("artifacts/three"), `three ${two}#!/bin/sh\nc1`, `${context}: artifacts/three`);
    return { stderr, ran: this.project.ran() };
  }

  /** What is remembered, by what it is. */
  files(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    for (const file of [...filesBelow(this.project.path(".imgtask")), ...filesBelow(this.project.path("artifacts"))]) {
      const name = relative(this.project.path(".imgtask"), file);
      const kind = name.startsWith("..") ? "artifacts" : name.split("/")[0]!;
      if (["logs", "lock", "tmp", ".gitignore"].includes(kind) || statSync(file).size === 0) continue;
      found.set(kind, [...(found.get(kind) ?? []), file]);
    }
    return found;
  }
}

/** Changes one bit in place, and gives the file its time of modification back. */
function flipIn(file: string, random: () => number): string {
  const { size, atime, mtime } = statSync(file);
  const at = Math.floor(random() * size), bit = 1 << Math.floor(random() * 8);
  const fd = openSync(file, "r+");
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  byte[0]! ^= bit;
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
  utimesSync(file, atime, mtime);
  return `byte ${at} of ${size}, bit ${bit}`;
}

function cut(file: string, random: () => number): string {
  const { size, atime, mtime } = statSync(file);
  const left = Math.floor(random() * size);
  truncateSync(file, left);
  utimesSync(file, atime, mtime);
  return `cut to ${left} of ${size}`;
}

/**
 * Objects of the newest results that do not have the bytes of their name. Those of earlier results are looked at when
 * somebody asks for them.
 */
async function wrongObjects(project: TestProject): Promise<readonly string[]> {
  const directory = project.path(".imgtask/store");
  const store = new Store(directory, new StatCache(project.path("no-cache")));
  const records = new Records(project.path(".imgtask/records"));
  const needed = new Set<string>();
  for (const target of ["make:one", "make:two", "make:three"]) {
    for (const { digest, executable } of Object.values(records.latest(target)!.outputs)) {
      needed.add(store.objectPath(digest, executable));
      for (const entry of (await store.listOf(digest)) ?? []) if (entry.digest !== undefined) needed.add(store.objectPath(entry.digest, (entry.mode & 0o111) !== 0));
    }
  }
  return [...needed].filter((file) => !existsSync(file) || digestOf(readFileSync(file)) !== relative(directory, file).replaceAll("/", "").replace(/\.x$/, ""));
}

async function damage(t: TestContext, what: string, count: number, change: (file: string, random: () => number) => string): Promise<void> {
  const hits = new Map<string, number>();
  let noticed = 0, quiet = 0;
  await spread(
    Array.from({ length: count }, (_, index) => index),
    async () => {
      const made = new Remembering();
      t.after(() => made.project.eject());
      await made.build("first");
      await made.build("second");
      return made;
    },
    async (made, index) => {
      const random = randomFrom(index + 1);
      const files = [...made.files()];
      // The kinds in turn, so that a small one is hit as often as the store.
      const [kind, list] = files[index % files.length]!;
      const file = list[Math.floor(random() * list.length)]!;
      const context = `${what} ${index}: ${relative(made.project.directory, file)}, ${change(file, random)}`;
      hits.set(kind, (hits.get(kind) ?? 0) + 1);
      // Half of the times something downstream has to be made from what was damaged.
      const edited = index % 2 === 1;
      if (edited) made.edit();
      const { ran, stderr } = await made.build(context);
      if (edited) assert.ok(ran.includes("make:two") && ran.includes("make:three"), `${context}: ran ${ran.join(" ")}`);
      if (!edited && ran.length === 0 && !/restored|could not be read/.test(stderr)) quiet++;
      else noticed++;
      if (index % 10 !== 0) return;
      const again = await made.build(`${context}, again`);
      assert.deepEqual(again.ran, [], `${context}: the run after it has nothing to do`);
      assert.deepEqual(await wrongObjects(made.project), [], context);
    },
  );
  const kinds = [...hits].sort().map(([kind, hit]) => `${kind} ${hit}`).join(", ");
  t.diagnostic(`${what}: ${count} (${kinds}); 0 wrong results, 0 wrong fresh, 0 failures; ${noticed} made something run or restored, ${quiet} cost nothing`);
  for (const kind of ["store", "records", "stat-cache", "snapshot", "modules", "artifacts"]) assert.ok((hits.get(kind) ?? 0) >= count / 20, `${kind} was hit ${hits.get(kind)} times`);
}

test(`${flips} flipped bits`, { timeout: 1_200_000 }, (t) => damage(t, "flipped bits", flips, flipIn));

test(`${truncations} truncations`, { timeout: 600_000 }, (t) => damage(t, "truncations", truncations, cut));

test("the log of results cut at every byte of its last line, and at others", { timeout: 600_000 }, async (t) => {
  let cuts = 0, kept = 0;
  const sample = new Remembering();
  t.after(() => sample.project.eject());
  await sample.build("first");
  const whole = readFileSync(sample.project.path(".imgtask/records"));
  assert.ok(whole.length > 600);
  // In each process of its own; every byte is cut in test/lib/record.test.ts.
  const points = Array.from({ length: 60 }, (_, index) => Math.floor((index * whole.length) / 60));
  await spread(
    points,
    async () => {
      const made = new Remembering();
      t.after(() => made.project.eject());
      await made.build("first");
      return made;
    },
    async (made, point) => {
      truncateSync(made.project.path(".imgtask/records"), Math.min(point, statSync(made.project.path(".imgtask/records")).size));
      const { ran } = await made.build(`records cut at ${point}`);
      cuts++;
      kept += 3 - ran.length;
    },
  );
  t.diagnostic(`the log of results: ${cuts} cuts with the real command line; 0 wrong results, ${kept} of ${cuts * 3} results kept`);
});
