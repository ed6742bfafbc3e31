/**
 * Publishes in a process of its own, which a test can kill: `node --import tsx publish-child.ts ORDER.json`.
 * Prints `begin`, then `done` and the result, or `failed` and the error.
 * @module
 */
import { createHash } from "node:crypto";
import { appendFileSync, closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { PublishContext, PublishedImage, Publisher } from "../../lib/mod.ts";
import { run } from "../../lib/process.ts";
import { formatOf } from "../../plugins/publish/formats.ts";

/** What the child is to do. */
export interface Order {
  /** Module and function that make the publisher, and the options for it. */
  readonly module: string;
  readonly factory: string;
  readonly options: unknown;
  readonly secrets: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly { readonly name: string; readonly path: string }[];
  /** Directory with `tmp` and `project`. */
  readonly scratch: string;
}

/** Gives a publisher what the kind `publish` would. @param heard what it says, as it says it. */
async function withPublisher<T>(order: Order, work: (publisher: Publisher, context: PublishContext) => Promise<T>, heard: (line: string) => void = () => {}): Promise<T> {
  const { signal } = new AbortController();
  const { [order.factory]: factory } = (await import(order.module)) as Record<string, (...options: readonly unknown[]) => Publisher>;
  const publisher = factory!(...(Array.isArray(order.options) ? order.options : [order.options]));
  const logFd = openSync(join(order.scratch, "log"), "a");
  const tmp = join(order.scratch, "tmp"), env = { PATH: process.env["PATH"], HOME: process.env["HOME"], TMPDIR: tmp };
  const context: PublishContext = {
    exec: (argv, options) => run(argv, { cwd: tmp, env, logFd, signal }, options),
    log(line) {
      appendFileSync(join(order.scratch, "log"), `${line}\n`);
      heard(line);
    },
    progress: () => {},
    signal,
    env: order.env,
    secrets: order.secrets,
    tmp,
    project: join(order.scratch, "project"),
  };
  return await work(publisher, context).finally(() => closeSync(logFd));
}

/** What the kind `publish` would tell of an image. */
function imageOf({ name, path }: Order["files"][number]): PublishedImage {
  const bytes = readFileSync(path), type = name.endsWith(".iso") ? "iso" : "disk";
  return {
    name, path, type, format: formatOf({ type, path: name })!, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex"),
    target: `${type}:${name.replace(/\..*/, "")}`, output: "out", os: { id: "kali", version: "2026.3", title: "Kali" }, kernel: null, arch: "x86_64",
    commit: { id: "0123456789abcdef0123456789abcdef01234567", dirty: false }, times: null, tests: [], untested: "random bytes", withoutSbom: null,
    signature: "untrusted comment: of the test\nRUQ\ntrusted comment: none\nAAA\n",
  };
}

/** Publishes. @param heard what it says, as it says it. */
export async function carryOut(order: Order, heard: (line: string) => void = () => {}): ReturnType<Publisher["publish"]> {
  return await withPublisher(order, (to, context) => (to.takes === undefined ? to.publish(order.files, context) : to.publish(order.files.map(imageOf), context)), heard);
}

/** What the place has of the order's files, and their bytes; `undefined` where it does not collect. */
export async function lookAt(order: Order): Promise<Readonly<Record<string, Uint8Array>> | undefined> {
  const names = order.files.map(({ name }) => name);
  return await withPublisher(order, async (publisher, context) => {
    if (publisher.takes !== undefined || publisher.read === undefined) return undefined;
    const there: Record<string, Uint8Array> = {};
    for (const name of await publisher.has!(names, context)) there[name] = (await publisher.read(name, context))!;
    for (const name of names) if (there[name] === undefined && (await publisher.read(name, context)) !== undefined) throw new Error(`"${name}" can be read, and is told as not there`);
    return there;
  });
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const order = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Order;
  process.stdout.write("begin\n");
  try {
    process.stdout.write(`done ${JSON.stringify(await carryOut(order))}\n`);
  } catch (error) {
    process.stdout.write(`failed ${JSON.stringify({ ...(error as object), message: (error as Error).message })}\n`);
    process.exitCode = 1;
  }
}
