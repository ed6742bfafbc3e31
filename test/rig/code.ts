/**
 * The code of recipes of an imagefile in a directory of its own: evaluates it in this process and reads its recipes.
 * @module
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { placeOf } from "../../lib/code/place.ts";
import { type RecipeCode, readRecipes } from "../../lib/code/recipes.ts";
import { digestFileSync } from "../../lib/digest.ts";
import { identifyPackage } from "../../lib/recipe.ts";
import { registry } from "../../lib/target.ts";
import { repository } from "./project.ts";
import { scratch } from "./scratch.ts";

/** What imagefiles begin with. */
export const head = `import { target, source, output, group, tool } from "imgtask"; import { writeFileSync, readFileSync } from "node:fs"; import { join } from "node:path";\n`;

/** The recipes of a project by name of the target. @throws what refuses a recipe */
export async function recipesOf(t: TestContext, files: Readonly<Record<string, string>>): Promise<Readonly<Record<string, RecipeCode>>> {
  const directory = scratch(t);
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(repository, join(directory, "node_modules/imgtask"));
  for (const [path, text] of Object.entries({ "package.json": `{ "type": "module" }`, ...files })) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const imagefile = join(directory, "imagefile.ts");
  const { targets } = registry();
  targets.length = 0;
  await import(pathToFileURL(imagefile).href);
  const own = targets.filter(({ recipe, declaration }) => recipe !== undefined && declaration.module === undefined);
  return Object.fromEntries(readRecipes(own.map(placeOf), { imagefile, directory, identify: (at) => identifyPackage(at, digestFileSync), digest: digestFileSync }).recipes);
}
