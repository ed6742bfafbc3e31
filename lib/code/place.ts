/**
 * What the code of a recipe is found by. Knows no syntax.
 * @module
 */
import type { Location } from "../error.ts";
import type { Registered } from "../target.ts";

/** Where the recipe of a target is to be looked for, and how to know it. Plain data. */
export interface RecipePlace {
  /** Of the target. */
  readonly name: string;
  /** The calls that declared it, the innermost first. */
  readonly frames: readonly Location[];
  /** Number of the recipe's parameters before the first that has a default. */
  readonly parameters: number;
  readonly async: boolean;
}

/** The place of a target that has a recipe. */
export function placeOf({ declaration, frames, recipe }: Registered): RecipePlace {
  return { name: declaration.name, frames, parameters: recipe!.length, async: recipe!.constructor.name === "AsyncFunction" };
}
