/**
 * JSON schemas of what attestations are made of. in-toto publishes its types as protocol buffers and prose, not as a JSON
 * schema, so these are written down by hand after them, with nothing allowed that they do not name.
 *
 * Sources: DSSE `envelope.md` v1.0; in-toto/attestation, `statement.proto` and `resource_descriptor.proto` of v1,
 * `provenance.proto` of v1, `test_result.proto` of v0; slsa.dev/spec/v1.1/provenance for names with a vendor's prefix.
 * @module
 */

const text = { type: "string", minLength: 1 } as const;
const texts = { type: "array", items: text } as const;
const time = { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$" } as const;
const base64 = { type: "string", pattern: "^[A-Za-z0-9+/]+={0,2}$" } as const;
const digests = { type: "object", minProperties: 1, additionalProperties: { type: "string", pattern: "^[0-9a-f]{40,128}$" } } as const;
const exactly = (properties: object, required: readonly string[], more: object = {}): object => ({ type: "object", properties, required, additionalProperties: false, ...more });

const descriptor = exactly({ name: text, uri: text, digest: digests, content: base64, downloadLocation: text, mediaType: text, annotations: { type: "object" } }, [], {
  anyOf: [{ required: ["uri"] }, { required: ["digest"] }, { required: ["content"] }],
});
const subject = exactly({ name: text, uri: text, digest: digests }, ["name", "digest"]);

const provenance = exactly({
  buildDefinition: exactly({ buildType: text, externalParameters: { type: "object" }, internalParameters: { type: "object" }, resolvedDependencies: { type: "array", items: descriptor } }, ["buildType", "externalParameters"]),
  runDetails: exactly({
    builder: exactly({ id: { type: "string", pattern: "^[a-z]+:" }, version: { type: "object", additionalProperties: text }, builderDependencies: { type: "array", items: descriptor } }, ["id"]),
    metadata: exactly({ invocationId: text, startedOn: time, finishedOn: time }, [], { patternProperties: { "^[a-z]+_[A-Za-z]+$": {} } }),
    byproducts: { type: "array", items: descriptor },
  }, ["builder"]),
}, ["buildDefinition", "runDetails"]);

const testResult = exactly({ result: { enum: ["PASSED", "WARNED", "FAILED"] }, configuration: { type: "array", items: descriptor }, url: text, passedTests: texts, warnedTests: texts, failedTests: texts }, ["result", "configuration"]);

/** A signed envelope. */
export const envelopeSchema: object = exactly({
  payload: base64, payloadType: { const: "application/vnd.in-toto+json" },
  signatures: { type: "array", minItems: 1, items: exactly({ keyid: { type: "string" }, sig: base64 }, ["sig"]) },
}, ["payload", "payloadType", "signatures"]);

/** A statement of either type that imgtask makes. */
export const statementSchema: object = exactly({
  _type: { const: "https://in-toto.io/Statement/v1" },
  subject: { type: "array", minItems: 1, items: subject },
  predicateType: { type: "string" },
  predicate: { type: "object" },
}, ["_type", "subject", "predicateType", "predicate"], {
  oneOf: [
    { properties: { predicateType: { const: "https://slsa.dev/provenance/v1" }, predicate: provenance } },
    { properties: { predicateType: { const: "https://in-toto.io/attestation/test-result/v0.1" }, predicate: testResult } },
  ],
});
