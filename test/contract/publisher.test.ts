/**
 * What every publisher must do: publish whole files, nothing twice, nothing half, and nothing outside its place.
 * A new publisher is one line in the list, with a way to look at its place.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { FilePublisher, PublishContext } from "../../lib/mod.ts";
import { run } from "../../lib/process.ts";
import type { Argv, ExecOptions } from "../../lib/target.ts";
import { directory } from "../../plugins/publish/directory.ts";

/** A publisher and its place, as everybody who reads there sees it. */
interface Subject {
  readonly name: string;
  /** @param scratch an empty directory of the test's own; `read` gives all that is at the place, by name with `/` between parts. */
  make(scratch: string): { readonly publisher: FilePublisher; read(): Record<string, string> };
}

const subjects: readonly Subject[] = [
  {
    name: "directory",
    make(scratch) {
      const place = join(scratch, "place");
      const names = (): string[] => (existsSync(place) ? readdirSync(place, { recursive: true, encoding: "utf8" }).filter((name) => !lstatSync(join(place, name)).isDirectory()).sort() : []);
      return { publisher: directory(place), read: () => Object.fromEntries(names().map((name) => [name, readFileSync(join(place, name), "utf8")])) };
    },
  },
];

interface Bench {
  readonly scratch: string;
  readonly publisher: FilePublisher;
  read(): Record<string, string>;
  readonly context: PublishContext;
  /** A file to publish. */
  file(name: string, content: string): { readonly name: string; readonly path: string };
  publish(files: Parameters<FilePublisher["publish"]>[0], signal?: AbortSignal): ReturnType<FilePublisher["publish"]>;
}

/** Runs a test of one publisher in a directory of its own. */
async function bench(subject: Subject, body: (bench: Bench) => Promise<void>): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "imgtask-publisher-"));
  mkdirSync(join(scratch, "files"));
  const logFd = openSync(join(scratch, "log"), "a");
  const { publisher, read } = subject.make(scratch);
  let count = 0;
  const contextOf = (signal: AbortSignal): PublishContext => {
    const exec = (argv: Argv, options?: ExecOptions) => run(argv, { cwd: scratch, env: { PATH: process.env["PATH"] }, logFd, signal }, options);
    return { exec, log() {}, progress() {}, signal, env: {}, secrets: {}, tmp: scratch, project: scratch };
  };
  try {
    await body({
      scratch,
      publisher,
      read,
      file(name, content) {
        const path = join(scratch, "files", String(count++));
        writeFileSync(path, content, { mode: 0o444 });
        return { name, path };
      },
      context: contextOf(new AbortController().signal),
      publish: (files, signal = new AbortController().signal) => publisher.publish(files, contextOf(signal)),
    });
  } finally {
    closeSync(logFd);
    rmSync(scratch, { recursive: true, force: true });
  }
}

for (const subject of subjects) {
  const check = (what: string, body: (bench: Bench) => Promise<void>): void => void test(`${subject.name}: ${what}`, () => bench(subject, body));

  check("its description is plain data", async ({ publisher }) => {
    assert.match(publisher.name, /^[a-z0-9-]+$/);
    assert.deepEqual(JSON.parse(JSON.stringify(publisher.params)), publisher.params);
    assert.match(publisher.module, /^file:\/\//);
  });

  check("files arrive whole, those in directories too", async ({ publisher, publish, file, read }) => {
    const nested = publisher.flat === true ? "a.iso.intoto.jsonl" : "attestations/a.iso.intoto.jsonl";
    const sent = await publish([file("b.img", "bytes of b"), file("a.iso", "bytes of a"), file(nested, "{}"), file("SHA256SUMS", "sums")]);
    assert.deepEqual(sent.map(({ name, uploaded }) => [name, uploaded]), [["b.img", true], ["a.iso", true], [nested, true], ["SHA256SUMS", true]]);
    for (const { location } of sent) assert.ok(location.length > 0);
    assert.deepEqual(read(), { "a.iso": "bytes of a", "b.img": "bytes of b", [nested]: "{}", SHA256SUMS: "sums" });
  });

  check("what is there can be read and asked for, and what is not there is told as such", async ({ publisher, context, publish, file }) => {
    if (publisher.read === undefined) return;
    assert.equal(await publisher.read("SHA256SUMS", context), undefined);
    assert.deepEqual(await publisher.has!(["a.iso"], context), new Set());
    await publish([file("a.iso", "one"), file("SHA256SUMS", "list\n")]);
    assert.equal(Buffer.from((await publisher.read("SHA256SUMS", context))!).toString(), "list\n");
    assert.equal(await publisher.read("b.img", context), undefined);
    assert.deepEqual(await publisher.has!(["b.img", "a.iso"], context), new Set(["a.iso"]));
  });

  check("the second time nothing is sent, and nothing changes", async ({ publish, file, read }) => {
    const files = [file("a.iso", "one"), file("b.img", "two")];
    await publish(files);
    const before = read();
    const again = await publish(files);
    assert.deepEqual(again.map(({ uploaded }) => uploaded), [false, false]);
    assert.deepEqual(read(), before);
  });

  check("only what changed is sent, also when it kept its length", async ({ publish, file, read }) => {
    const kept = file("a.iso", "one");
    await publish([kept, file("b.img", "two")]);
    const sent = await publish([kept, file("b.img", "TWO")]);
    assert.deepEqual(sent.map(({ uploaded }) => uploaded), [false, true]);
    assert.equal(read()["b.img"], "TWO");
  });

  check("what others published stays", async ({ publish, file, read }) => {
    await publish([file("first.iso", "first")]);
    await publish([file("second.iso", "second")]);
    assert.deepEqual(Object.keys(read()), ["first.iso", "second.iso"]);
  });

  check("when the second file fails, no file is new, changed or half there", async ({ scratch, publish, file, read }) => {
    await publish([file("a.iso", "old a"), file("b.img", "old b")]);
    const before = read();
    const gone = { name: "b.img", path: join(scratch, "gone") };
    await assert.rejects(publish([file("a.iso", "new a"), gone]));
    assert.deepEqual(read(), before);
    // What was cut short goes through when it is tried again.
    writeFileSync(gone.path, "new b");
    await publish([file("a.iso", "new a"), gone]);
    assert.deepEqual(read(), { "a.iso": "new a", "b.img": "new b" });
  });

  check("a run that is ended leaves nothing behind", async ({ publish, file, read }) => {
    const files = [file("a.iso", "a"), file("b.img", "b")];
    await assert.rejects(publish(files, AbortSignal.abort()));
    assert.deepEqual(read(), {});
  });

  check("names that could leave the place or hide in it are refused, before anything is sent", async ({ scratch, publish, file, read }) => {
    const names = ["../x", "..", ".", "", "/etc/x", "a/../b", "a//b", "a/", "a/.b", "a\\b", ".hidden", "a\nb", "a\0b", "-rf", " a", "ä", "x".repeat(201)];
    for (const name of names) {
      await assert.rejects(publish([file("good.iso", "good"), file(name, "bad")]), { code: "IMG2512" }, JSON.stringify(name));
    }
    assert.deepEqual(read(), {});
    assert.equal(existsSync(join(scratch, "x")), false);
  });
}

test("directory: files are readable by all, and a link at the name is replaced, not followed", () =>
  bench(subjects[0]!, async ({ scratch, publish, file, read }) => {
    const place = join(scratch, "place");
    mkdirSync(place);
    writeFileSync(join(scratch, "victim"), "untouched");
    symlinkSync("../victim", join(place, "a.iso"));
    const umask = process.umask(0o077);
    await publish([file("a.iso", "new")]).finally(() => process.umask(umask));
    assert.equal(readFileSync(join(scratch, "victim"), "utf8"), "untouched");
    assert.equal(lstatSync(join(place, "a.iso")).isFile(), true);
    for (const name of Object.keys(read())) assert.equal(statSync(join(place, name)).mode & 0o777, 0o644, name);
  }));

test("directory: holes of a sparse image stay holes", () =>
  bench(subjects[0]!, async ({ scratch, publish, file }) => {
    const image = file("disk.raw", "data");
    truncateSync(image.path, 64 * 1024 * 1024);
    await publish([image]);
    const stats = statSync(join(scratch, "place", "disk.raw"));
    assert.equal(stats.size, 64 * 1024 * 1024);
    assert.ok(stats.blocks * 512 < 1024 * 1024, `${stats.blocks * 512} bytes allocated`);
  }));

test("directory: killed while it writes, nothing is visible under a name", () =>
  bench(subjects[0]!, async ({ scratch }) => {
    const place = join(scratch, "place");
    const big = join(scratch, "big");
    execFileSync("dd", ["if=/dev/urandom", `of=${big}`, "bs=1M", "count=64"], { stdio: "ignore" });
    const program = `
      import { directory } from ${JSON.stringify(new URL("../../plugins/publish/directory.ts", import.meta.url).href)};
      import { copyFileSync } from "node:fs";
      let copies = 0;
      const exec = async (argv) => { copyFileSync(argv.at(-2), argv.at(-1)); if (++copies === 2) process.kill(process.pid, "SIGKILL"); return { code: 0, stdout: "" }; };
      const files = [1, 2, 3].map((n) => ({ name: n + ".img", path: ${JSON.stringify(big)} }));
      await directory(${JSON.stringify(place)}).publish(files, { exec, log() {}, project: "/", signal: new AbortController().signal });`;
    assert.throws(() => execFileSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], { stdio: "ignore" }), { signal: "SIGKILL" });
    const left = readdirSync(place);
    assert.equal(left.length, 2);
    assert.deepEqual(left.filter((name) => !/^\.imgtask-[0-9a-f]{16}\.part$/.test(name)), []);
  }));
