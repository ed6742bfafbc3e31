/**
 * Checks the attestations of a published file: envelopes of trusted keys, statements about that file, and provenance
 * that agrees with the manifest and claims no more than can be true. Pure.
 * @module
 */
import { parseEnvelope, signerOf } from "./dsse.ts";
import type { PublicKey } from "./minisign-key.ts";
import { buildType, provenanceType, type PublishedArtifact, statementMediaType, statementType, testResultType } from "./publication.ts";

/** What proven attestations tell. */
export interface Attested {
  /** Digests of what the file was made from. */
  readonly parts: ReadonlySet<string>;
}

/** Makes the error that is thrown. */
export type Refuse = (code: string, message: string, expected?: string, found?: string) => Error;

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const fields = (value: unknown): Fields => (isFields(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const shown = (value: unknown): string => (value === undefined ? "nothing" : typeof value === "string" ? value : JSON.stringify(value));
const keysOf = (value: unknown): string => Object.keys(fields(value)).sort().join(", ");

/** The statement in an envelope, proven to be by a trusted key and about the file. */
function openStatement(line: string, entry: PublishedArtifact, keys: readonly PublicKey[], refuse: Refuse): Fields {
  const envelope = parseEnvelope(line);
  if (envelope === undefined) throw refuse("IMG4107", "It holds something that is no signed envelope (DSSE)");
  if (envelope.payloadType !== statementMediaType) throw refuse("IMG4107", "An envelope holds something else than a statement", statementMediaType, envelope.payloadType);
  if (signerOf(envelope, keys) === undefined) throw refuse("IMG4108", "An attestation is not signed by a trusted key, or was changed", keys.map(({ id }) => id).join(", "), envelope.signatures.map(({ keyid }) => keyid).join(", "));
  const statement: unknown = JSON.parse(envelope.payload.toString("utf8"));
  if (!isFields(statement) || statement["_type"] !== statementType) throw refuse("IMG4107", "A statement of another form", statementType, shown(fields(statement)["_type"]));
  const subjects = list(statement["subject"]);
  const subject = fields(subjects[0]);
  if (subjects.length !== 1 || subject["name"] !== entry.name || fields(subject["digest"])["sha256"] !== entry.sha256) {
    throw refuse("IMG4109", "An attestation is about another file", `${entry.name}, ${entry.sha256}`, `${shown(subject["name"])}, ${shown(fields(subject["digest"])["sha256"])}`);
  }
  return statement;
}

/** Whether two things that must be the same are. */
function same(what: string, expected: unknown, found: unknown, refuse: Refuse): void {
  if (expected !== found) throw refuse("IMG4110", `Provenance and manifest disagree: ${what}`, shown(expected), shown(found));
}

function checkProvenance(predicate: Fields, entry: PublishedArtifact, refuse: Refuse): ReadonlySet<string> {
  const definition = fields(predicate["buildDefinition"]), details = fields(predicate["runDetails"]);
  if (definition["buildType"] !== buildType) throw refuse("IMG4110", "Provenance of another kind of build", buildType, shown(definition["buildType"]));
  const parameters = fields(definition["externalParameters"]);
  // A parameter that is not known could mean anything: SLSA would have it refused.
  if (!["directory, output, sourceDateEpoch, target", "directory, output, target"].includes(keysOf(parameters))) throw refuse("IMG4110", "Provenance with parameters that are not known", "directory, output, sourceDateEpoch, target", keysOf(parameters));
  same("target", entry.target, parameters["target"], refuse);
  same("output", entry.output, parameters["output"], refuse);
  const dependencies = list(definition["resolvedDependencies"]).map(fields);
  const imagefile = dependencies.find((one) => isFields(one["digest"]) && "gitCommit" in one["digest"]);
  same("commit", entry.commit?.id, fields(imagefile?.["digest"])["gitCommit"], refuse);
  same("whether the commit is all of it", entry.commit?.dirty, fields(imagefile?.["annotations"])["dirty"], refuse);
  const metadata = fields(details["metadata"]), builder = fields(details["builder"]);
  if (typeof builder["id"] !== "string" || builder["id"] === "") throw refuse("IMG4110", "Provenance without a builder");
  if (metadata["imgtask_slsaBuildLevel"] !== 1) throw refuse("IMG4110", "Provenance claims a level that a key of one's own cannot reach", "SLSA Build L1", shown(metadata["imgtask_slsaBuildLevel"]));
  same("start", entry.times?.started, metadata["startedOn"], refuse);
  same("end", entry.times?.finished, metadata["finishedOn"], refuse);
  const steps = list(fields(definition["internalParameters"])["steps"]).map(fields);
  return new Set(steps.flatMap((step) => Object.values(fields(step["outputs"])).filter((one): one is string => typeof one === "string")));
}

/**
 * Checks all attestations of a file.
 *
 * @param content a line each envelope
 * @throws what `refuse` makes: IMG4107 … IMG4110
 */
export function checkAttestations(content: string, entry: PublishedArtifact, keys: readonly PublicKey[], refuse: Refuse): Attested {
  const lines = content.split("\n");
  if (lines.pop() !== "" || lines.length === 0) throw refuse("IMG4107", "It does not end with a line");
  let parts: ReadonlySet<string> | undefined;
  let tests: readonly unknown[] | undefined;
  for (const line of lines) {
    const statement = openStatement(line, entry, keys, refuse);
    const predicate = fields(statement["predicate"]);
    if (statement["predicateType"] === provenanceType && parts === undefined) parts = checkProvenance(predicate, entry, refuse);
    else if (statement["predicateType"] === testResultType && tests === undefined) {
      if (predicate["result"] !== "PASSED" || list(predicate["failedTests"]).length > 0) throw refuse("IMG4110", "A test failed", "PASSED", shown(predicate["result"]));
      tests = list(predicate["passedTests"]);
    } else throw refuse("IMG4107", "A statement of a type that is not known, or a second one", `${provenanceType}, ${testResultType}`, shown(statement["predicateType"]));
  }
  if (parts === undefined) throw refuse("IMG4107", "No provenance is among the attestations");
  same("tests", entry.tests.join(", "), (tests ?? []).join(", "), refuse);
  return { parts };
}
