/**
 * Which images a publication names without a test that boots them: for the type checker, and again when it is declared.
 * Pure: knows no test but by what it says it boots.
 * @module
 */
import { type Artifact, ExitCode, ImgtaskError, type Input, type Producer } from "../../lib/mod.ts";
import type { DiskType } from "../test/image.ts";
import { artifactOf } from "./names.ts";

/** Types of artifacts that a machine boots. */
export type ImageType = "iso" | DiskType;
const imageTypes: ReadonlySet<string> = new Set(Object.keys({ iso: 0, disk: 0, vmdk: 0, "vmdk directory": 0, vhdx: 0, vhd: 0, ova: 0 } satisfies Readonly<Record<ImageType, 0>>));

type TypeOf<A> = A extends Artifact<infer T> ? T : A extends Producer<infer T> ? T : never;
type NameOf<A> = A extends { readonly name: infer N extends string } ? N : string;
/** Names of the images that tests boot. */
type Booted<T> = T extends readonly (infer E)[] ? (E extends { readonly boots: infer N extends string } ? N : never) : never;

/** Names of the images among artifacts that no test boots. Of a bare output no name is known here: any test will do. */
export type Untested<A extends readonly Input[], T> = {
  [K in keyof A]: TypeOf<A[K]> extends ImageType ? (string extends NameOf<A[K]> ? ([Booted<T>] extends [never] ? "an image" : never) : Exclude<NameOf<A[K]>, Booted<T>>) : never;
}[number];

/**
 * What a publication of an image lacks: a test in `tests` that boots it, `test("kali", { image: kali, … })`, or in
 * `untested` the reason why there is none.
 */
export interface TestThatBoots<Image extends string> {
  readonly untested: string & { readonly of?: Image };
}

/** Nothing when every image is tested; else what is missing. */
export type Proof<A extends readonly Input[], T> = [Untested<A, T>] extends [never] ? unknown : TestThatBoots<Untested<A, T>>;

/** Names of the targets of those artifacts that are images and that no test boots. */
export function untestedImages(artifacts: readonly Input[], tests: readonly Input[]): readonly string[] {
  const booted = new Set(tests.flatMap((test) => ("boots" in test && typeof test.boots === "string" ? [test.boots] : [])));
  const images = artifacts.map(artifactOf).filter(({ type }) => imageTypes.has(type)).map(({ target }) => target);
  return [...new Set(images.filter((name) => !booted.has(name)))];
}

/**
 * Refuses images that are neither tested nor said to be untested.
 *
 * @throws {ImgtaskError} IMG2581
 */
export function checkTested(name: string, artifacts: readonly Input[], tests: readonly Input[], untested: string | undefined): void {
  const missing = untestedImages(artifacts, tests);
  const reason = untested?.trim() ?? "";
  if (untested !== undefined && (reason === "" || reason.length > 200 || /[\x00-\x1f\x7f]/.test(untested))) {
    throw new ImgtaskError("IMG2581", `"publish:${name}" does not say why its images are untested`, {
      expected: "a reason in one line, 200 characters at most",
      found: JSON.stringify(untested),
      exitCode: ExitCode.usage,
    });
  }
  if (missing.length === 0 || untested !== undefined) return;
  throw new ImgtaskError("IMG2581", `"publish:${name}" publishes ${missing.map((one) => `"${one}"`).join(" and ")} without a test`, {
    expected: `in "tests" a test() that boots ${missing.length === 1 ? "it" : "each of them"}, or the reason in "untested"`,
    exitCode: ExitCode.usage,
  });
}
