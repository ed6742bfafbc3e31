/**
 * Declarations for tests of the parts that work on plain data.
 * @module
 */
import type { Declaration } from "../../lib/target.ts";

/** A declaration with the given parts and nothing else. */
export function declared(name: string, parts: Partial<Declaration> = {}): Declaration {
  return {
    name,
    kind: name.split(":")[0]!,
    inputs: {},
    params: null,
    env: [],
    tools: [],
    outputs: { out: { form: "file", type: "file" } },
    resources: { cpu: 1 },
    members: [],
    location: { file: "/project/imagefile.ts", line: 3, column: 7 },
    ...parts,
  };
}

/** A declaration that reads the outputs of others. */
export function reading(name: string, ...upstream: readonly string[]): Declaration {
  return declared(name, { inputs: Object.fromEntries(upstream.map((target, index) => [`inputs.${index}`, { type: "artifact", target, output: "out" }])) });
}
