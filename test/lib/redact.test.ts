/**
 * Secrets in text and streams: found wherever a chunk ends, with no more held back than the longest.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formsOf, Redactor, Secretive } from "../../lib/redact.ts";

const secrets = ["correct horse", "aaaaaaaab", "abcabcabcd", "line one is\nline two is", "пароль-ключ"];

function through(chunks: readonly Buffer[], values: readonly string[] = secrets): string {
  const parts: Buffer[] = [];
  const redactor = new Redactor(new Secretive(values), (bytes) => void parts.push(bytes));
  for (const chunk of chunks) redactor.push(chunk);
  redactor.end();
  return Buffer.concat(parts).toString("utf8");
}

test("a stream comes out the same wherever it is cut", () => {
  const text = `x correct horse y aaaaaaaaaaaaaaab z abcabcabcabcabcd correct hors ${Buffer.from("u:correct horse").toString("base64")} line one is\nline two is пароль-ключ end corr`;
  const bytes = Buffer.from(text);
  const whole = new Secretive(secrets).text(text);
  assert.match(whole, /^x \*\*\* y aaaaaaa\*\*\* z abcabc\*\*\* correct hors \S*\*\*\*\S* \*\*\* \*\*\* end corr$/);
  let cuts = 0;
  for (let first = 0; first <= bytes.length; first++, cuts++) assert.equal(through([bytes.subarray(0, first), bytes.subarray(first)]), whole, String(first));
  for (let size = 1; size < 40; size++, cuts++) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
    assert.equal(through(chunks), whole, `pieces of ${size}`);
  }
  assert.equal(cuts, bytes.length + 1 + 39);
});

test("nothing is held back that cannot become a secret", () => {
  const parts: string[] = [];
  const redactor = new Redactor(new Secretive(["correct horse"]), (bytes) => void parts.push(String(bytes)));
  redactor.push("hello\n");
  redactor.push("say corr");
  assert.deepEqual(parts, ["hello\n", "say "]);
  redactor.push("upt\n");
  assert.deepEqual(parts, ["hello\n", "say ", "corrupt\n"]);
});

test("every form is found, and what is shorter than a secret is not searched for", () => {
  for (const value of [...secrets, `it's "quo'ted" %$\\`]) {
    const secretive = new Secretive([value]);
    const forms = formsOf(value);
    assert.ok(Object.keys(forms).length >= 8);
    for (const [name, texts] of Object.entries(forms)) {
      for (const text of texts) if (Buffer.byteLength(text) >= 8) assert.ok(secretive.isIn(Buffer.from(`<${text}>`)), `${name} of ${value}`);
    }
    for (let before = 0; before < 4; before++) for (let after = 0; after < 4; after++) {
      const around = Buffer.from(`${"x".repeat(before)}${value}${"y".repeat(after)}`);
      assert.ok(secretive.isIn(Buffer.from(around.toString("base64"))));
      assert.ok(secretive.isIn(Buffer.from(around.toString("base64url"))));
    }
  }
  assert.equal(new Secretive(["short"]).text("short"), "short");
  assert.equal(new Secretive([]).text("anything"), "anything");
});
