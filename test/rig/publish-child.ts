/**
 * Publishes in a process of its own, which a test can kill: `node --import tsx publish-child.ts ORDER.json`.
 * Prints `begin`, then `done` and the result, or `failed` and the error.
 * @module
 */
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Publisher } from "../../lib/mod.ts";
import { run } from "../../lib/process.ts";

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

/** Publishes as the kind `publish` would. */
export async function carryOut(order: Order, signal: AbortSignal = new AbortController().signal): ReturnType<Publisher["publish"]> {
  const { [order.factory]: factory } = (await import(order.module)) as Record<string, (...options: readonly unknown[]) => Publisher>;
  const publisher = factory!(...(Array.isArray(order.options) ? order.options : [order.options]));
  const logFd = openSync(join(order.scratch, "log"), "a");
  const tmp = join(order.scratch, "tmp"), env = { PATH: process.env["PATH"], HOME: process.env["HOME"], TMPDIR: tmp };
  const { appendFileSync } = await import("node:fs");
  return await publisher.publish(order.files, {
    exec: (argv, options) => run(argv, { cwd: tmp, env, logFd, signal }, options),
    log: (line) => appendFileSync(join(order.scratch, "log"), `${line}\n`),
    progress: () => {},
    signal,
    env: order.env,
    secrets: order.secrets,
    tmp,
    project: join(order.scratch, "project"),
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
