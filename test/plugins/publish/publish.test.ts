/**
 * The kind `publish`: names, its receipt, and what is refused when it is declared.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type ImagePublisher, type ImgtaskError, type Input, output, type PublishedImage, type Publisher, secret, target, verifyMinisign } from "../../../lib/mod.ts";
import { generateKey } from "../../../lib/minisign-key.ts";
import { registry } from "../../../lib/target.ts";
import { directory } from "../../../plugins/publish/directory.ts";
import { publishedName } from "../../../plugins/publish/names.ts";
import { publish } from "../../../plugins/publish/publish.ts";
import { minisign } from "../../../plugins/publish/sign.ts";
import { runRecipe } from "../../rig/recipe.ts";

const scratch = mkdtempSync(join(tmpdir(), "imgtask-publish-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const file = (name: string, path?: string) =>
  target(name, { outputs: { out: output("file", "thing", path === undefined ? {} : { path }), log: output("file", "log", { path: "logs/{time}.md" }) }, run: () => {} });
const image = file("iso:kali-2026.3", "artifacts/iso/kali-2026.3.iso");
const disk = file("disk:debian", "artifacts/disk/debian.tar.gz");

test("files are called after their target, their output, and the extension of their path", () => {
  assert.equal(publishedName(image), "iso-kali-2026.3.iso");
  assert.equal(publishedName(disk.outputs.out), "disk-debian.tar.gz");
  assert.equal(publishedName(disk.outputs.log), "disk-debian-log.md");
  assert.equal(publishedName(file("raw:lab")), "raw-lab");
  assert.equal(publishedName(file("raw:12", "artifacts/lab-12.5")), "raw-12");
});

test("a tree, nothing at all, and two files of one name are refused", () => {
  const to = directory("out");
  const tree = target("rootfs:x", { outputs: { out: output("tree", "rootfs") }, run: () => {} });
  assert.throws(() => publish("p", { artifacts: [tree], to }), { code: "IMG2511" });
  assert.throws(() => publish("p", { artifacts: [file("manifest", "out/x.json")], to }), { code: "IMG2512" });
  assert.throws(() => publish("p", { artifacts: [file("SHA256SUMS")], to }), { code: "IMG2512" });
  assert.throws(() => publish("p", { artifacts: [], to }), { code: "IMG2513" });
  assert.throws(() => publish("p", { artifacts: [image, image.outputs.out], to }), { code: "IMG2513", message: /"iso-kali-2026\.3\.iso"/ });
  assert.throws(() => directory(""), { code: "IMG2514" });
});

test("the declaration waits for the tests, and depends on place and publisher", () => {
  const boot = file("test:boot");
  publish("declared", { artifacts: [image], to: directory("out"), tests: [boot] });
  const { declaration } = registry().targets.findLast((one) => one.declaration.name === "publish:declared")!;
  assert.deepEqual(Object.values(declaration.inputs).map((input) => input.type === "artifact" && input.target), ["iso:kali-2026.3", "test:boot"]);
  assert.deepEqual(declaration.params, {
    names: ["iso-kali-2026.3.iso"], of: [{ target: "iso:kali-2026.3", output: "out", type: "thing" }],
    tests: [{ target: "test:boot" }], sboms: [], publisher: "directory", options: { path: "out" },
  });
  assert.deepEqual(declaration.resources.locks, ['place directory {"path":"out"}']);
  assert.match(declaration.module ?? "", /plugins\/publish\/directory\.ts$/);
});

/** The files of a receipt behind the artifacts. */
const documents = (receipt: string, artifacts: number): readonly unknown[] => (JSON.parse(readFileSync(receipt, "utf8")) as { files: unknown[] }).files.slice(artifacts);

test("artifacts arrive under their names, and the receipt says so without a time", async () => {
  const [a, b] = [join(scratch, "0a1b"), join(scratch, "2c3d")];
  writeFileSync(a, "image");
  writeFileSync(b, "disk");
  const place = join(scratch, "place");
  publish("both", { artifacts: [image, disk], to: directory(place) });
  const paths = { "inputs.artifacts.0": a, "inputs.artifacts.1": b };
  const first = await runRecipe("publish:both", paths);
  const second = await runRecipe("publish:both", paths);
  try {
    assert.deepEqual(readdirSync(place).sort(), ["SHA256SUMS", "attestations", "disk-debian.tar.gz", "iso-kali-2026.3.iso", "manifest.json"]);
    const receipt = readFileSync(first.outputs["out"]!, "utf8");
    assert.deepEqual(JSON.parse(receipt), {
      publisher: "directory",
      files: [
        { name: "iso-kali-2026.3.iso", size: 5, sha256: createHash("sha256").update("image").digest("hex"), location: join(place, "iso-kali-2026.3.iso") },
        { name: "disk-debian.tar.gz", size: 4, sha256: createHash("sha256").update("disk").digest("hex"), location: join(place, "disk-debian.tar.gz") },
        ...documents(first.outputs["out"]!, 2),
      ],
    });
    assert.equal(readFileSync(second.outputs["out"]!, "utf8"), receipt);
    assert.match(first.log(), /published to/);
    assert.match(second.log(), /was already at/);
  } finally {
    first.dispose();
    second.dispose();
  }
});

test("a publisher that does not say where a file is fails the target", async (context) => {
  const silent: Publisher = { name: "silent", params: {}, tools: [], env: [], module: import.meta.url, publish: async () => [] };
  publish("silent", { artifacts: [image], to: silent });
  context.mock.method(console, "error", () => {});
  await assert.rejects(runRecipe("publish:silent", { "inputs.artifacts.0": join(scratch, "0a1b") }), { code: "IMG3511" });
});

test("images need a test that boots them, or a reason, also without a type checker", () => {
  const to = directory("out");
  const vm = target("disk:vm", { outputs: { out: output("file", "disk") }, run: () => {} }), iso = target("iso:cd", { outputs: { out: output("file", "iso") }, run: () => {} });
  const boots = <const Image extends string>(image: Image) => ({ ...file(`test:${image.replace(":", "-")}`), boots: image });
  const refused = (artifacts: readonly Input[], tests: readonly Input[], untested?: string): string => {
    let found = "";
    assert.throws(() => publish("p", { artifacts, to, tests, ...(untested === undefined ? {} : { untested }) }), (error: ImgtaskError) => {
      assert.equal(error.code, "IMG2581");
      found = error.message;
      return true;
    });
    return found;
  };
  assert.match((refused([vm], [])), /"disk:vm" without a test/);
  assert.match((refused([vm, iso], [boots("disk:vm")])), /"iso:cd" without a test/);
  assert.match((refused([vm.outputs.out], [boots("iso:cd")])), /"disk:vm"/);
  assert.match((refused([vm, iso], [file("test:x")])), /"disk:vm" and "iso:cd"/);
  for (const reason of ["", "  ", "a\nb", "x".repeat(201)]) refused([vm], [], reason);
  publish("tested", { artifacts: [vm, iso], to, tests: [boots("disk:vm"), boots("iso:cd")] });
  publish("said", { artifacts: [vm], to, untested: "no emulator for it" });
});

test("a place that holds images gets images with what is told of them, and no documents; others are refused when it is declared", async () => {
  const given: PublishedImage[] = [];
  const cloud: ImagePublisher = {
    name: "cloud", params: {}, tools: [], env: [], module: import.meta.url, takes: ["qcow2", "iso"], nameOf: ({ target }) => target.replace(":", "-"),
    publish: async (images) => (given.push(...images), images.map(({ name }) => ({ name, location: `cloud/${name}`, uploaded: true }))),
  };
  const of = (type: string, path?: string) => target(`disk:${type}${path ?? ""}`, { outputs: { out: output("file", type, path === undefined ? {} : { path }) }, run: () => {} });
  for (const one of [of("disk", "d.raw"), of("disk"), of("ova", "d.ova"), of("thing", "d.qcow2")]) {
    assert.throws(() => publish("no", { artifacts: [one], to: cloud, untested: "unit" }), { code: "IMG2521", expected: "an image as qcow2, iso" });
  }
  const twin: ImagePublisher = { ...cloud, nameOf: () => "same" };
  const qcow2 = of("disk", "vm.qcow2"), iso = of("iso");
  assert.throws(() => publish("twins", { artifacts: [qcow2, iso], to: twin, untested: "unit" }), { code: "IMG2513" });
  publish("images", { artifacts: [qcow2, iso], to: cloud, untested: "unit", sign: minisign({ key: secret.env("KEY") }) });
  const [a, b] = [join(scratch, "vm"), join(scratch, "cd")];
  writeFileSync(a, "vm");
  writeFileSync(b, "cd");
  const own = generateKey();
  const ran = await runRecipe("publish:images", { "inputs.artifacts.0": a, "inputs.artifacts.1": b }, { secrets: { signingKey: await own.file() } });
  try {
    assert.deepEqual(given.map(({ name, format, size, target, path }) => [name, format, size, target, path]), [["disk-diskvm.qcow2", "qcow2", 2, "disk:diskvm.qcow2", a], ["disk-iso", "iso", 2, "disk:iso", b]]);
    assert.deepEqual(given.map(({ sha256 }) => sha256), ["vm", "cd"].map((text) => createHash("sha256").update(text).digest("hex")));
    for (const [index, { signature }] of given.entries()) verifyMinisign({ bytes: Buffer.from(["vm", "cd"][index]!) }, Buffer.from(signature!), [own.publicKey], { file: given[index]!.name });
    assert.deepEqual((JSON.parse(readFileSync(ran.outputs["out"]!, "utf8")) as { files: { name: string }[] }).files.map(({ name }) => name), ["disk-diskvm.qcow2", "disk-iso"]);
    assert.match(ran.log(), /cloud holds images only/);
  } finally {
    ran.dispose();
  }
});
