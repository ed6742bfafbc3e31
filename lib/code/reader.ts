/**
 * The process that `apart.ts` starts: takes a question on standard input, gives the answer on standard output.
 * @module
 */
import { readFileSync, writeSync } from "node:fs";
import { digestFileSync } from "../digest.ts";
import { isImgtaskError } from "../error.ts";
import { identifyPackage } from "../recipe.ts";
import type { Answer, Question, Refusal } from "./apart.ts";
import { readRecipes, type RecipeCode } from "./recipes.ts";

function answerTo({ imagefile, directory, targets }: Question): Answer {
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

const bytes = Buffer.from(JSON.stringify(answerTo(JSON.parse(readFileSync(0, "utf8")) as Question)));
for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
