/**
 * The kind `publish`: brings finished artifacts to a place where others find them, and keeps a receipt.
 * Knows no place itself: a publisher does.
 * @module
 */
import { statSync, writeFileSync } from "node:fs";
import {
  ExitCode,
  ImgtaskError,
  type Input,
  output,
  type OutputSpec,
  type Publisher,
  type RunContext,
  type Target,
  target,
} from "../../lib/mod.ts";
import { sha256 } from "./digest.ts";
import { checkPublishedName, publishedName } from "./names.ts";

/** What `publish()` takes. */
export interface PublishOptions {
  /** The files to publish: targets or single outputs of theirs. */
  readonly artifacts: readonly Input[];
  /** Where to. */
  readonly to: Publisher;
  /** Tests that must have passed before. @default [] */
  readonly tests?: readonly Input[];
}

/** A target that publishes artifacts. */
export type Published<Name extends string = string> = Target<`publish:${Name}`, { readonly out: OutputSpec<"publish receipt"> }>;

/** Content of the receipt, which is JSON. It holds no time: publishing the same again gives the same receipt. */
export interface Receipt {
  /** Name of the publisher. */
  readonly publisher: string;
  readonly files: readonly {
    readonly name: string;
    /** Bytes. */
    readonly size: number;
    readonly sha256: string;
    /** Where it is now, as the publisher says. */
    readonly location: string;
  }[];
}

/**
 * Declares target `publish:NAME`: makes artifacts readable at a place, all of a file or nothing of it, and writes a
 * receipt. What is there already is not sent again. A file is called after the target that makes it: `iso:kali`
 * becomes `iso-kali.iso`.
 *
 * It runs again when an artifact or the place changes, not when somebody takes files away from there.
 *
 * @throws {ImgtaskError} IMG2511 for an artifact that is no file, IMG2512 for a bad name, IMG2513 for none at all or
 * two of one name.
 *
 * @example
 * ```ts
 * publish("release", { artifacts: [debianIso, debianDisk], to: directory("/srv/images"), tests: [bootTest] });
 * ```
 */
export function publish<const Name extends string>(name: Name, options: PublishOptions): Published<Name> {
  const { artifacts, to, tests = [] } = options;
  const names = artifacts.map(publishedName);
  names.forEach(checkPublishedName);
  const twice = names.find((one, index) => names.indexOf(one) !== index);
  if (names.length === 0 || twice !== undefined) {
    throw new ImgtaskError("IMG2513", `"publish:${name}" has ${twice === undefined ? "nothing to publish" : `two files named "${twice}"`}`, {
      expected: "artifacts with names of their own, at least one",
      exitCode: ExitCode.usage,
    });
  }
  return target(`publish:${name}`, {
    description: `Publish ${names.join(", ")} by ${to.name}`,
    inputs: { artifacts, tests },
    params: { names, publisher: to.name, options: to.params },
    env: to.env,
    tools: to.tools,
    ...(to.untracked === undefined ? {} : { untracked: to.untracked }),
    outputs: { out: output("file", "publish receipt") },
    resources: { network: true },
    retries: { times: 2 },
    // Where the bytes go is the publisher's code: when that changes they must go there again.
    module: to.module,
    run: async (context) => await send(context, to),
  });
}

type Send = RunContext<
  { readonly artifacts: readonly Input[]; readonly tests: readonly Input[] },
  { readonly names: readonly string[] },
  { readonly out: OutputSpec }
>;

async function send(context: Send, to: Publisher): Promise<void> {
  const { inputs, params, outputs, signal, log } = context;
  const files = params.names.map((name, index) => ({ name, path: inputs.artifacts[index]! }));
  const sent = new Map((await to.publish(files, context)).map((one) => [one.name, one]));
  const listed: Receipt["files"][number][] = [];
  for (const { name, path } of files) {
    const there = sent.get(name);
    if (there === undefined) throw new ImgtaskError("IMG3511", `Publisher "${to.name}" did not say where "${name}" is`);
    log(`${name}: ${there.uploaded ? "published to" : "was already at"} ${there.location}`);
    listed.push({ name, size: statSync(path).size, sha256: await sha256(path, signal), location: there.location });
  }
  const receipt: Receipt = { publisher: to.name, files: listed };
  writeFileSync(outputs.out, `${JSON.stringify(receipt, null, 2)}\n`);
}
