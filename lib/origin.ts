/**
 * The lineage of a target's inputs, from records and store. Knows nothing of what is told of it.
 * @module
 */
import type { Digest } from "./digest.ts";
import { type Lineage, lineageOf, type Made, type OutputRef } from "./lineage.ts";
import type { State, Upstream } from "./state.ts";
import type { Declaration } from "./target.ts";

/** How the inputs of a target came about. Reads records when it is asked, and the store when a file is. */
export function originOf(declaration: Declaration, state: State, upstream: Upstream): Lineage {
  const find = ({ target, output, digest }: OutputRef): Made | undefined => {
    const record = state.records.results(target).findLast(({ outputs }) => outputs[output]?.digest === digest);
    if (record === undefined) return undefined;
    const { fingerprint, manifest, outputs, time, duration, producer } = record;
    return { target, fingerprint, manifest, outputs, started: time - duration, finished: time, ...(producer === undefined ? {} : { producer }) };
  };
  const inputs = Object.values(declaration.inputs).flatMap((input): readonly OutputRef[] => {
    const digest = input.type === "artifact" ? upstream.get(`${input.target}#${input.output}`)?.digest : undefined;
    return input.type === "artifact" && digest !== undefined ? [{ target: input.target, output: input.output, digest }] : [];
  });
  return {
    ...lineageOf(inputs, find),
    fileOf: async (digest, path) => {
      const { store } = state;
      const entry = path === undefined ? undefined : (await store.listOf(digest as Digest))?.find((one) => one.type === "file" && one.path === path);
      if (path !== undefined && entry?.digest === undefined) return undefined;
      // Of a single file it is not known here whether it is kept as a program.
      const found = entry?.digest ?? (digest as Digest);
      for (const executable of [false, true]) {
        if ((await store.check(executable ? { digest: found, executable } : { digest: found }, "file")) === "intact") return store.objectPath(found, executable);
      }
      return undefined;
    },
  };
}
