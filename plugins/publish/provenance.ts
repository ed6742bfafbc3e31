/**
 * Statements about a published artifact: how it was built (SLSA provenance v1), and which tests it passed (in-toto test
 * result). Pure. They claim no more than is true: whoever runs imgtask with a key of their own reaches SLSA Build
 * level 1, however well it is signed; level 2 begins where a hosted builder signs what it has built itself.
 * @module
 */
import { buildType, type Made, provenanceType, type Statement, statementType, testResultType, version } from "../../lib/mod.ts";
import { type Dependency, lineOf } from "./origins.ts";

/** What statements are about. */
export interface StatedArtifact {
  readonly name: string;
  readonly sha256: string;
  readonly target: string;
  readonly output: string;
  /** The result that made it and those behind it; empty when no record tells. */
  readonly results: readonly Made[];
}

/** Milliseconds since 1970 as ISO 8601 of whole seconds. */
export function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Who built it: by name where a trusted key signed the result that says so. */
export function builderOf(made: Made | undefined): string {
  const name = made?.producer?.builder;
  if (name === undefined || name === "") return "urn:imgtask:builder:local";
  return /^https?:\/\/[^\s]+$/.test(name) ? name : `urn:imgtask:builder:${encodeURIComponent(name)}`;
}

const subjectOf = ({ name, sha256 }: StatedArtifact): Statement["subject"] => [{ name, digest: { sha256 } }];

/** Tools and code of one result, without its options: these may hold what is not for everybody. */
function step(made: Made): Readonly<Record<string, unknown>> {
  const tools = made.manifest.filter(([key]) => key.startsWith("tool ")).map(([key, value]) => [key.slice(5), value] as const);
  const recipe = made.manifest.find(([key]) => key.startsWith("recipe "));
  return {
    target: made.target,
    fingerprint: made.fingerprint,
    ...(recipe === undefined ? {} : { recipe: { name: recipe[0].slice(7), sha256: recipe[1] } }),
    tools: Object.fromEntries(tools),
    outputs: Object.fromEntries(Object.entries(made.outputs).map(([name, { digest }]) => [name, digest])),
    startedOn: isoTime(made.started),
    finishedOn: isoTime(made.finished),
    ...(made.producer === undefined ? {} : { signedBy: made.producer.key }),
  };
}

/** How an artifact was built. */
export function provenance(artifact: StatedArtifact, dependencies: readonly Dependency[], directory: string): Statement {
  const made = artifact.results[0];
  const epoch = made === undefined ? undefined : lineOf(made, "epoch");
  return {
    _type: statementType,
    subject: subjectOf(artifact),
    predicateType: provenanceType,
    predicate: {
      buildDefinition: {
        buildType,
        externalParameters: { target: artifact.target, output: artifact.output, directory, ...(epoch === undefined ? {} : { sourceDateEpoch: Number(epoch) }) },
        internalParameters: { steps: artifact.results.map(step) },
        resolvedDependencies: dependencies,
      },
      runDetails: {
        builder: { id: builderOf(made), version: { imgtask: version() } },
        metadata: {
          ...(made === undefined ? {} : { invocationId: made.fingerprint, startedOn: isoTime(made.started), finishedOn: isoTime(made.finished) }),
          imgtask_slsaBuildLevel: 1,
        },
      },
    },
  };
}

/** Which tests an artifact passed: a test that fails has no result, and nothing behind it runs. */
export function testResult(artifact: StatedArtifact, tests: readonly Made[]): Statement {
  const names = tests.map(({ target }) => target).sort();
  return {
    _type: statementType,
    subject: subjectOf(artifact),
    predicateType: testResultType,
    predicate: {
      result: "PASSED",
      configuration: tests.map(({ target, outputs }) => ({ name: target, ...(outputs["out"] === undefined ? {} : { digest: { sha256: outputs["out"].digest } }) })).sort((a, b) => (a.name < b.name ? -1 : 1)),
      passedTests: names,
      warnedTests: [],
      failedTests: [],
    },
  };
}
