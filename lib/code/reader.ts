/**
 * The process that `apart.ts` starts: takes an order and then a question on standard input, a line each, and answers each
 * with a line on standard output.
 * @module
 */
import { readSync, realpathSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { keepCompiled } from "../compiled.ts";
import { digestFileSync } from "../digest.ts";
import { isImgtaskError } from "../error.ts";
import { identifyPackage } from "../recipe.ts";
import type { Answer, Order, Question, Refusal } from "./apart.ts";
import { compile } from "./compile.ts";
import { readRecipes, type RecipeCode } from "./recipes.ts";

function answerTo({ imagefile, directory }: Order, { targets }: Question): Answer {
  try {
    const code = readRecipes(targets, { imagefile, directory, digest: digestFileSync, identify: (one) => identifyPackage(one, digestFileSync) });
    const codes = [...new Set(code.recipes.values())];
    const numbers = new Map(codes.map((one, number) => [one, number]));
    return {
      files: code.files,
      packages: [...code.packages],
      codes: codes.map(({ digest, sheet, coarse }: RecipeCode) => ({ ...(digest === undefined ? {} : { digest }), sheet, ...(coarse === undefined ? {} : { coarse }) })),
      recipes: [...code.recipes].map(([name, one]) => [name, numbers.get(one)!] as const),
      whole: code.whole,
    };
  } catch (error) {
    if (!isImgtaskError(error)) throw error;
    const { code, message, expected, found, hint, location, exitCode } = error;
    const details = Object.fromEntries(Object.entries({ expected, found, hint, location }).filter(([, value]) => value !== undefined));
    return { error: { code, message, ...details, exitCode } satisfies Refusal };
  }
}

/** Compiles what is to be compiled. That it cannot be kept is no error: tsx is there. */
function follow({ imagefile: named, directory: project, cwd, modules }: Order): void {
  if (modules === null) return;
  try {
    const directory = realpathSync(project), imagefile = join(realpathSync(dirname(named)), basename(named));
    const compilation = compile(imagefile, directory, cwd);
    keepCompiled(join(directory, modules), { imagefile, directory, cwd }, compilation.modules ?? compilation.refused!, compilation.rests);
  } catch {
    // What cannot be read now is said by who evaluates.
  }
}

let come: Buffer = Buffer.alloc(0);

/** The next line of standard input; `undefined` at its end. */
function nextLine(): string | undefined {
  const parts: Buffer[] = [];
  for (;;) {
    const end = come.indexOf(10);
    parts.push(end < 0 ? come : come.subarray(0, end));
    if (end >= 0) {
      come = come.subarray(end + 1);
      return Buffer.concat(parts).toString("utf8");
    }
    come = Buffer.alloc(65_536);
    come = come.subarray(0, readSync(0, come));
    if (come.length === 0) return undefined;
  }
}

function say(what: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(what)}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
}

const order = JSON.parse(nextLine()!) as Order;
follow(order);
say({});
const question = nextLine();
if (question !== undefined) say(answerTo(order, JSON.parse(question) as Question));
