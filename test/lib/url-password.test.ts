/**
 * Passwords in values of environment variables: what is one, what is not, and that fingerprints know nothing of them.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprint, manifest, type Resolution } from "../../lib/fingerprint.ts";
import type { Declaration } from "../../lib/target.ts";
import { passwordsIn, withoutPasswords } from "../../lib/url-password.ts";

const cases: readonly (readonly [name: string, value: string, without: string, passwords: readonly string[]])[] = [
  ["http_proxy", "http://me:secret@proxy:3128", "http://me@proxy:3128", ["me secret"]],
  ["http_proxy", "me:secret@proxy:3128", "me@proxy:3128", ["me secret"]],
  ["HTTPS_PROXY", "https://me:p%40ss@proxy/", "https://me@proxy/", ["me p%40ss"]],
  ["http_proxy", "http://me:p@ss:word@proxy", "http://me@proxy", ["me p@ss:word"]],
  ["http_proxy", "http://:secret@proxy", "http://@proxy", [" secret"]],
  ["MIRRORS", "https://a:one@x/y,https://b:two@z/", "https://a@x/y,https://b@z/", ["a one", "b two"]],
  ["DATABASE_URL", "postgres+ssl://db:secret@host/x?y=a:b@c", "postgres+ssl://db@host/x?y=a:b@c", ["db secret"]],
  ["http_proxy", "http://proxy:3128", "http://proxy:3128", []],
  ["http_proxy", "proxy:3128", "proxy:3128", []],
  ["http_proxy", "http://me@proxy:3128", "http://me@proxy:3128", []],
  ["no_proxy", "localhost,127.0.0.1,.example.org:80", "localhost,127.0.0.1,.example.org:80", []],
  ["IMAGE", "debian:12@sha256:0123", "debian:12@sha256:0123", []],
  ["URL", "http://host:80/a:b@c", "http://host:80/a:b@c", []],
  ["REMOTE", "git@host:team/x.git", "git@host:team/x.git", []],
];

for (const [name, value, without, passwords] of cases) {
  test(`${name}=${value}`, () => {
    assert.equal(withoutPasswords(name, value), without);
    assert.deepEqual(passwordsIn({ [name]: value, OTHER: undefined }).map(({ user, password }) => `${user} ${password}`), passwords);
  });
}

test("a fingerprint counts the URL and not its password", () => {
  const declaration: Declaration = { name: "a:b", kind: "a", inputs: {}, params: null, env: ["MIRROR"], tools: [], outputs: {}, resources: { cpu: 0 }, members: [] };
  const of = (value: string): readonly [string, string] => {
    const resolution: Resolution = { recipe: "0".repeat(64) as Resolution["recipe"], inputs: new Map(), env: { MIRROR: value }, epoch: 0, tools: {} };
    return [fingerprint(declaration, resolution), JSON.stringify(manifest(declaration, resolution))];
  };
  assert.deepEqual(of("https://me:one@host/a"), of("https://me:another@host/a"));
  for (const other of ["https://me:one@host/b", "https://you:one@host/a", "https://me@host:81/a"]) assert.notEqual(of(other)[0], of("https://me:one@host/a")[0]);
});
