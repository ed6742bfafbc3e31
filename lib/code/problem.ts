/**
 * What keeps a recipe's digest from following its code exactly. Knows neither how it is found nor what is done about it.
 * @module
 */
import type { ts } from "ts-morph";

/** Why a recipe is refused, or judged by all of the imagefile's modules. */
export interface Problem {
  /** `coarse`: the code of all modules stands for it. The others are refused. */
  readonly type: "coarse" | "captured" | "computed" | "changed" | "handle" | "environment";
  /** The name in the code: `size`, `process.env.LEVEL`. */
  readonly name: string;
  /** What it is, as words that go on after the name: `a parameter of "make"`. */
  readonly what: string;
  /** Where. */
  readonly node: ts.Node;
}

/** What a problem is told to. */
export type Report = (problem: Problem) => void;
