/**
 * Signed results: only what a trusted key signed is found, whatever else stands in the log.
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { isImgtaskError } from "../../lib/error.ts";
import { generateKey, publicKeyFile, type SecretKey } from "../../lib/minisign-key.ts";
import type { Project } from "../../lib/project.ts";
import { type Record, Records, type Trust } from "../../lib/record.ts";
import { readTrust, sweep } from "../../lib/trust.ts";
import { scratch } from "../rig/scratch.ts";

const record = (target: string, content = target): Record => ({
  target,
  fingerprint: digestOf(content),
  manifest: [["schema", "1"], ["option size", "\"8G\""], ["source x ü\n", "file 0644 abc"]],
  outputs: { out: { digest: digestOf(`out ${content}`), size: 12, path: "artifacts/a" }, log: { digest: digestOf("log"), size: 3 } },
  time: 1_700_000_000_000,
  duration: 2000,
  reasons: [{ type: "option", name: "size", from: "4G", to: "8G" }],
});

const projectIn = (directory: string): Project => ({ directory, imagefile: join(directory, "imagefile.ts"), state: join(directory, ".imgtask"), caches: join(directory, ".imgtask") });

async function trustIn(keys: readonly SecretKey[], signs?: SecretKey, builder?: string): Promise<Trust> {
  const env: NodeJS.ProcessEnv = { IMGTASK_TRUSTED_RESULTS: keys.map(({ publicKey }) => publicKey.text).join(",") };
  if (signs !== undefined) env["IMGTASK_RESULT_KEY"] = await signs.file();
  if (builder !== undefined) env["IMGTASK_BUILDER"] = builder;
  const trust = readTrust(projectIn("/nowhere"), env);
  await trust.ready();
  return trust;
}

/** A line as whoever can write to the log makes it: the checksum is right. */
function line(body: string, signature?: string): string {
  const text = signature === undefined ? body : `${body}\t${signature}`;
  return `\n${digestOf(text).slice(0, 16)} ${text}\n`;
}

function parts(file: string): readonly { readonly body: string; readonly signature: string }[] {
  return readFileSync(file, "utf8").split("\n").filter((one) => one !== "").map((one) => {
    const [body, signature] = one.slice(17).split("\t") as [string, string];
    return { body, signature };
  });
}

/** Every value with one leaf changed, one key taken away or one added. */
function* changes(value: unknown): Iterable<unknown> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      for (const one of changes(item)) yield value.with(index, one);
      yield value.toSpliced(index, 1);
    }
    yield [...value, "more"];
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      for (const one of changes(item)) yield { ...value, [key]: one };
      const { [key]: _, ...rest } = value as { [name: string]: unknown };
      yield rest;
      yield { ...rest, [`${key}x`]: item };
    }
    yield { ...value, added: 1 };
  } else if (typeof value === "number") {
    yield value + 1;
    yield String(value);
  } else if (typeof value === "string") {
    yield `${value}x`;
    yield value.replace(/^./u, (first) => (first === "0" ? "1" : "0"));
    yield "";
  }
}

async function signedLog(t: TestContext): Promise<{ readonly file: string; readonly key: SecretKey; readonly trust: Trust }> {
  const file = join(scratch(t), "records"), key = generateKey();
  const trust = await trustIn([key], key, "ci/main");
  const records = new Records(file, trust);
  records.append(record("a:1"));
  records.append(record("b:1"));
  return { file, key, trust };
}

test("what is signed by a trusted key is found, with who made it", async (t) => {
  const { file, key, trust } = await signedLog(t);
  const records = new Records(file, trust);
  const producer = { key: key.id, builder: "ci/main" };
  assert.deepEqual(records.find("a:1", digestOf("a:1")), { ...record("a:1"), producer });
  assert.deepEqual(records.latest("b:1"), { ...record("b:1"), producer });
  assert.deepEqual([[...records.all()].length, records.untrusted, records.damaged], [2, 0, 0]);
  // Without trust, everything is found as ever.
  assert.equal(new Records(file).find("a:1", digestOf("a:1"))?.target, "a:1");
});

test("nothing of a signed result can be changed", async (t) => {
  const { file, trust } = await signedLog(t);
  const [{ body, signature }, other] = parts(file) as [{ body: string; signature: string }, { body: string; signature: string }];
  const forged = join(scratch(t), "records");
  const accepted: string[] = [];
  let fields = 0, bytes = 0;
  const attempt = (text: string): void => {
    writeFileSync(forged, text);
    const records = new Records(forged, trust);
    if ([...records.all()].length > 0) accepted.push(text);
    for (const target of ["a:1", "b:1", "a:1x"]) for (const content of ["a:1", "b:1"]) if (records.find(target, digestOf(content)) !== undefined || records.latest(target) !== undefined) accepted.push(text);
  };
  for (const changed of changes(JSON.parse(body))) {
    attempt(line(JSON.stringify(changed), signature));
    fields++;
  }
  for (let at = 0; at < body.length; at++, bytes++) {
    const copy = Buffer.from(body);
    copy[at]! ^= 1;
    attempt(line(copy.toString("utf8"), signature));
  }
  const raw = Buffer.from(signature, "base64");
  for (let bit = 0; bit < raw.length * 8; bit++, bytes++) {
    const copy = Buffer.from(raw);
    copy[bit >> 3]! ^= 1 << (bit & 7);
    attempt(line(body, copy.toString("base64")));
  }
  const others = [
    line(body), line(body, ""), line(body, other.signature), line(other.body, signature), line(body, `${signature}A`), line(body, signature.slice(0, -4)), line(body, ` ${signature}`),
    line(JSON.stringify(JSON.parse(body), undefined, 1).replaceAll("\n", ""), signature), line(` ${body}`, signature), line(body, `${signature}\t${signature}`),
    line(body.replace(/,"producer".*\}/, "}"), signature), line("null"), line("[]", signature), line("not JSON"), line("{}"), line(`{"target":1}`, signature),
  ];
  for (const text of others) attempt(text);
  assert.deepEqual(accepted, []);
  // The attempts are none but for what was changed.
  writeFileSync(forged, line(body, signature));
  assert.notEqual(new Records(forged, trust).find("a:1", digestOf("a:1")), undefined);
  assert.ok(fields >= 80, String(fields));
  t.diagnostic(`${fields} changed fields, ${bytes} changed bytes and bits, ${others.length} other forgeries: 0 accepted`);
});

test("a key of one's own under a trusted key's id is not trusted", async (t) => {
  const file = join(scratch(t), "records"), key = generateKey();
  const bytes = Buffer.from((await generateKey().file()).split("\n")[1]!, "base64");
  Buffer.from(key.id, "hex").reverse().copy(bytes, 54);
  const env = { IMGTASK_TRUSTED_RESULTS: "", IMGTASK_RESULT_KEY: bytes.toString("base64") };
  const { parseSecretKey } = await import("../../lib/minisign-key.ts");
  const attacker = await parseSecretKey(env.IMGTASK_RESULT_KEY).unlock();
  assert.equal(attacker.id, key.id);
  new Records(file, await trustIn([attacker], attacker)).append(record("a:1"));
  const records = new Records(file, await trustIn([key]));
  assert.equal(records.find("a:1", digestOf("a:1")), undefined);
  assert.equal(records.untrusted, 1);
});

test("several keys; one that is no longer trusted takes its results with it", async (t) => {
  const file = join(scratch(t), "records"), old = generateKey(), current = generateKey();
  new Records(file, await trustIn([old], old)).append(record("a:1"));
  new Records(file, await trustIn([old, current], current)).append(record("b:1"));
  const found = async (...keys: readonly SecretKey[]): Promise<readonly string[]> => [...new Records(file, await trustIn(keys)).all()].map(({ target }) => target);
  assert.deepEqual(await found(old, current), ["a:1", "b:1"]);
  assert.deepEqual(await found(current), ["b:1"]);
  assert.deepEqual(await found(generateKey()), []);
});

test("others' results neither hide a trusted one nor push it out, by trusting runs or others", async (t) => {
  const key = generateKey(), stranger = generateKey();
  const trust = await trustIn([key], key), strangers = await trustIn([stranger], stranger);
  for (const compacting of [trust, undefined]) {
    const file = join(scratch(t), "records");
    for (let i = 0; i < 8; i++) new Records(file, trust).append(record("a:1", String(i)));
    const { body, signature } = parts(file)[0]!;
    for (let i = 0; i < 40; i++) {
      new Records(file).append(record("a:1", String(i)));
      new Records(file, strangers).append(record("a:1", String(i % 9)));
      // Says that it is of the trusted key.
      if (compacting === trust) writeFileSync(file, line(body.replace(digestOf("0"), digestOf("7")), signature), { flag: "a" });
    }
    const check = (): void => {
      const records = new Records(file, trust);
      for (let i = 0; i < 8; i++) assert.equal(records.find("a:1", digestOf(String(i)))?.producer?.key, key.id, String(i));
      assert.equal(records.latest("a:1")?.fingerprint, digestOf("7"));
      assert.ok(records.untrusted > 0);
    };
    check();
    const before = readFileSync(file).length;
    new Records(file, compacting).compact();
    assert.ok(readFileSync(file).length < before / 2);
    check();
    // What a run without trust takes is still there.
    assert.ok(new Records(file).find("a:1", digestOf("39")) !== undefined);
  }
});

test("going back to an earlier result keeps its signature, in a run without a key, too", async (t) => {
  const { file, trust } = await signedLog(t);
  const plain = new Records(file);
  plain.append(plain.find("a:1", digestOf("a:1"))!);
  const records = new Records(file, trust);
  assert.equal(records.find("a:1", digestOf("a:1"))?.target, "a:1");
  assert.equal(parts(file).length, 3);
  assert.equal(records.untrusted, 0);
});

test("a run that trusts and has no key does not believe what it made", async (t) => {
  const file = join(scratch(t), "records");
  const trust = await trustIn([generateKey()]);
  const records = new Records(file, trust);
  records.append(record("a:1"));
  for (const one of [records, new Records(file, trust)]) assert.equal(one.find("a:1", digestOf("a:1")), undefined);
  assert.equal([...records.hearsay("a:1")].length, 1);
});

test("what is wrong with keys is said before anything else, and never shows a secret", async (t) => {
  const directory = scratch(t), outside = scratch(t);
  const key = generateKey(), other = generateKey();
  const project = projectIn(directory);
  const secret = await key.file();
  writeFileSync(join(outside, "key"), secret);
  writeFileSync(join(outside, "trusted"), `# main\n${publicKeyFile(key.publicKey)}\n# second\n${other.publicKey.text}\n`);
  writeFileSync(join(outside, "empty"), "# nobody\n");
  writeFileSync(join(directory, "trusted"), publicKeyFile(key.publicKey));
  symlinkSync(join(directory, "trusted"), join(outside, "link"));
  const attempt = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const given = { ...env };
    try {
      const trust = readTrust(project, given);
      await trust.ready();
      return `${trust.keys.length} keys${trust.signs ? ", signs" : ""}`;
    } catch (error) {
      assert.ok(isImgtaskError(error) && error.exitCode === 2, String(error));
      for (const value of [secret.split("\n")[1]!, "hush"]) assert.equal(JSON.stringify([error.message, error.expected, error.found, error.hint]).includes(value), false);
      return error.code;
    } finally {
      assert.deepEqual([given["IMGTASK_RESULT_KEY"], given["IMGTASK_RESULT_KEY_PASSWORD"]], [undefined, undefined]);
    }
  };
  const text = key.publicKey.text, trusted = { IMGTASK_TRUSTED_RESULTS: text };
  const locked = await key.file({ password: "hush", limits: { operations: 32_768, memory: 16_777_216 } });
  const cases: readonly (readonly [NodeJS.ProcessEnv, string])[] = [
    [trusted, "1 keys"],
    [{ IMGTASK_TRUSTED_RESULTS: `${text}, ${other.publicKey.text}` }, "2 keys"],
    [{ IMGTASK_TRUSTED_RESULTS: publicKeyFile(key.publicKey) }, "1 keys"],
    [{ IMGTASK_TRUSTED_RESULTS: join(outside, "trusted") }, "2 keys"],
    [{ ...trusted, IMGTASK_RESULT_KEY: join(outside, "key") }, "1 keys, signs"],
    [{ ...trusted, IMGTASK_RESULT_KEY: secret }, "1 keys, signs"],
    [{ ...trusted, IMGTASK_RESULT_KEY: secret.split("\n")[1]! }, "1 keys, signs"],
    [{ ...trusted, IMGTASK_RESULT_KEY: locked, IMGTASK_RESULT_KEY_PASSWORD: "hush" }, "1 keys, signs"],
    [{ ...trusted, IMGTASK_RESULT_KEY: locked, IMGTASK_RESULT_KEY_PASSWORD: "hush2" }, "IMG2029"],
    [{ ...trusted, IMGTASK_RESULT_KEY: locked }, "IMG2029"],
    [{ ...trusted, IMGTASK_RESULT_KEY: secret.replace("RW", "RX") }, "IMG2029"],
    [{ ...trusted, IMGTASK_RESULT_KEY: secret.slice(0, -30) }, "IMG2029"],
    [{ ...trusted, IMGTASK_RESULT_KEY: join(outside, "missing") }, "IMG2030"],
    [{ ...trusted, IMGTASK_RESULT_KEY: outside }, "IMG2030"],
    [{ ...trusted, IMGTASK_RESULT_KEY: secret.split("\n")[1]!.slice(4) }, "IMG2030"],
    [{ IMGTASK_TRUSTED_RESULTS: text.slice(0, -1) }, "IMG2030"],
    [{ IMGTASK_TRUSTED_RESULTS: `${text},${text.slice(1)}` }, "IMG2028"],
    [{ IMGTASK_TRUSTED_RESULTS: join(outside, "empty") }, "IMG2030"],
    [{ IMGTASK_TRUSTED_RESULTS: join(outside, "key") }, "IMG2028"],
    [{ IMGTASK_TRUSTED_RESULTS: join(directory, "trusted") }, "IMG2031"],
    [{ IMGTASK_TRUSTED_RESULTS: join(outside, "link") }, "IMG2031"],
    [{ IMGTASK_RESULT_KEY: secret }, "IMG2032"],
    [{ IMGTASK_TRUSTED_RESULTS: other.publicKey.text, IMGTASK_RESULT_KEY: secret }, "IMG2032"],
  ];
  for (const [index, [env, expected]] of cases.entries()) assert.equal(await attempt(env), expected, `case ${index}`);
});

test("links in the state directory lead nowhere", (t) => {
  const state = scratch(t), elsewhere = scratch(t);
  writeFileSync(join(elsewhere, "precious"), "x");
  for (const name of ["logs", "keys"]) symlinkSync(elsewhere, join(state, name));
  mkdirSync(join(state, "store"));
  symlinkSync(elsewhere, join(state, "store/ab"));
  mkdirSync(join(state, "store/cd"));
  symlinkSync(join(elsewhere, "precious"), join(state, "records"));
  writeFileSync(join(state, "lock"), "x");
  sweep(state);
  sweep(join(state, "not there"));
  assert.equal(readFileSync(join(elsewhere, "precious"), "utf8"), "x");
  assert.throws(() => readFileSync(join(state, "records")), /ENOENT/);
  assert.throws(() => readFileSync(join(state, "logs/precious")), /ENOENT/);
  assert.throws(() => readFileSync(join(state, "store/ab/precious")), /ENOENT/);
  assert.equal(readFileSync(join(state, "lock"), "utf8"), "x");
});
