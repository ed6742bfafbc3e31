/**
 * Secrets from managers: the real `pass` with a real key, and Vault's KV engine as far as it can be had here: a server
 * that answers as the published API says, held to it by `node-vault`, which is not ours.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pass } from "../../../plugins/secret/pass.ts";
import { vault } from "../../../plugins/secret/vault.ts";
import { preamble, TestProject } from "../../rig/project.ts";

const imagefile = `${preamble}
import { pass } from "imgtask/plugins/secret/pass";
import { vault } from "imgtask/plugins/secret/vault";
const use = (name, secrets) => target(name, { secrets, outputs: { out: "file" }, async run({ secrets, outputs, log, exec }) {
  noteRun(name);
  log(\`the value is \${secrets.token}\`);
  await exec(["sh", "-c", 'printf %s "$T" | wc -c >"$O"'], { env: { T: secrets.token, O: outputs.out } });
} });
use("pass:first", { token: pass("lab/upload") });
use("pass:field", { token: pass("lab/upload", { field: "user" }) });
use("pass:none", { token: pass("lab/nothing") });
use("vault:one", { token: vault("lab/upload", "token") });
use("vault:old", { token: vault("lab/upload", "token", { keyVersion: 1, mount: "kv/team" }) });
use("vault:deleted", { token: vault("lab/deleted", "token") });
use("vault:missing", { token: vault("lab/upload", "no such field") });
use("vault:gone", { token: vault("lab/never", "token") });
`.replaceAll("(name, secrets)", "(name: `${string}:${string}`, secrets: Record<string, import(\"imgtask\").Secret>)").replace("noteRun(name);", "noteRun(target);").replace("{ secrets, outputs, log, exec }", "{ target, secrets, outputs, log, exec }");

/** All bytes below a directory, for the search of what must not be there. */
function everything(directory: string): Buffer {
  return Buffer.concat(readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name)).filter((path) => !path.includes("node_modules") && statSync(path, { throwIfNoEntry: false })?.isFile() === true).map((path) => readFileSync(path)));
}

describe("pass", () => {
  const home = mkdtempSync(join(tmpdir(), "imgtask-pass-"));
  const project = new TestProject({ "imagefile.ts": imagefile });
  const env = { HOME: home, GNUPGHOME: join(home, "gnupg"), PASSWORD_STORE_DIR: join(home, "store") };
  const value = "correct-horse-battery";
  before(() => {
    const options = { env: { ...process.env, ...env }, stdio: ["pipe", "ignore", "ignore"] as const };
    execFileSync("mkdir", ["-m", "700", env.GNUPGHOME]);
    execFileSync("gpg", ["--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "lab@example.org", "default", "default", "never"], { ...options, stdio: [...options.stdio] });
    execFileSync("pass", ["init", "lab@example.org"], { ...options, stdio: [...options.stdio] });
    execFileSync("pass", ["insert", "-m", "lab/upload"], { ...options, stdio: [...options.stdio], input: `${value}\nuser: uploader-one\nurl: https://example.org\n` });
  });
  after(() => {
    execFileSync("gpgconf", ["--kill", "all"], { env: { ...process.env, ...env } });
    project.eject();
    rmSync(home, { recursive: true, force: true });
  });

  test("gives recipes an entry's first line or a field, and nothing keeps it", async () => {
    for (const [name, length] of [["pass:first", value.length], ["pass:field", "uploader-one".length]] as const) {
      const { code, stderr } = await project.start(["run", "-v", name], { env }).finished;
      assert.equal(code, 0, stderr);
      assert.match(project.read(`.imgtask/logs/${name}/latest.log`), /the value is \*\*\*/);
      const digest = /"digest":"([0-9a-f]{64})"/.exec(project.read(".imgtask/records").split("\n").findLast((line) => line.includes(`"target":"${name}"`))!)![1]!;
      assert.equal(project.read(`.imgtask/store/${digest.slice(0, 2).toUpperCase()}/${digest.slice(2)}`.replace(/store\/(..)/, (_, two: string) => `store/${two.toLowerCase()}`)).trim(), String(length));
    }
    assert.equal(everything(project.directory).includes(value), false);
  });

  test("is not asked while nothing runs", async () => {
    const { code } = await project.start(["run", "pass:first"], { env: { ...env, PASSWORD_STORE_DIR: "/nonexistent" } }).finished;
    assert.equal(code, 0);
    assert.equal(project.runs("pass:first"), 1);
  });

  test("that has no such entry, or is not installed, is said with what to try", async () => {
    const none = await project.start(["run", "pass:none"], { env }).finished;
    assert.equal(none.code, 4);
    assert.match(none.stderr, /IMG1009[^]*pass show lab\/nothing/);
    const absent = await project.start(["run", "-f", "pass:first"], { env: { ...env, PATH: "/nonexistent" } }).finished;
    assert.notEqual(absent.code, 0);
    assert.match(absent.stderr, /IMG3001[^]*pass|IMG1009[^]*not there/);
  });

  test("refuses names that are options or lead out of the store", () => {
    for (const name of ["-c", "--help", "../x", "a/../../x", "", "a\nb", "/etc/passwd"]) assert.throws(() => pass(name), /IMG2035|Bad name/, name);
  });
});

describe("vault", () => {
  const project = new TestProject({ "imagefile.ts": imagefile });
  const token = "s.canary-token-of-vault";
  const value = "from-the-vault-4711";
  const seen: { url: string; headers: IncomingMessage["headers"] }[] = [];
  let mode: "good" | "sealed" | "redirect" | "html" = "good";
  const server = createServer((request, response) => {
    seen.push({ url: request.url!, headers: request.headers });
    const say = (status: number, body: unknown, headers = {}): void => void response.writeHead(status, { "content-type": "application/json", ...headers }).end(typeof body === "string" ? body : JSON.stringify(body));
    if (mode === "sealed") return say(503, { errors: ["Vault is sealed"] });
    if (mode === "redirect") return say(307, "", { location: `http://localhost:1${request.url}` });
    if (mode === "html") return say(200, "<html>Sign in</html>");
    if (request.headers["x-vault-token"] !== token) return say(403, { errors: ["permission denied"] });
    const metadata = { created_time: "2026-11-20T10:00:00.000000000Z", custom_metadata: null, deletion_time: "", destroyed: false, version: 2 };
    const good = (data: object, version: number): void => say(200, { request_id: "1", lease_id: "", renewable: false, lease_duration: 0, data: { data, metadata: { ...metadata, version } }, wrap_info: null, warnings: null, auth: null });
    switch (request.url) {
      case "/v1/secret/data/lab/upload":
        return good({ token: value, number: 7 }, 2);
      case "/v1/kv/team/data/lab/upload?version=1":
        return good({ token: "an-older-one" }, 1);
      case "/v1/secret/data/lab/deleted":
        return say(404, { data: { data: null, metadata: { ...metadata, deletion_time: "2026-11-20T11:00:00Z" } } });
      default:
        return say(404, { errors: [] });
    }
  });
  let address = "";
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.close();
    project.eject();
  });
  const run = (target: string, more: Readonly<Record<string, string>> = {}): ReturnType<TestProject["imgtask"]> => project.start(["run", "-f", target], { env: { VAULT_ADDR: address, VAULT_TOKEN: token, ...more } }).finished;

  test("the server here answers as Vault does: another client reads the same", async () => {
    const { default: nodeVault } = await import("node-vault") as unknown as { default: (options: object) => { read(path: string): Promise<{ data: { data: { token: string } } }> } };
    const client = nodeVault({ endpoint: address, token });
    assert.equal((await client.read("secret/data/lab/upload")).data.data.token, value);
    await assert.rejects(client.read("secret/data/lab/never"), /404/);
    await assert.rejects(nodeVault({ endpoint: address, token: "wrong" }).read("secret/data/lab/upload"), /permission denied/);
  });

  test("gives recipes a field, of the newest or a named version, and nothing keeps it", async () => {
    seen.length = 0;
    const one = await run("vault:one", { VAULT_NAMESPACE: "team" });
    assert.equal(one.code, 0, one.stderr);
    assert.equal(seen.length, 1);
    assert.equal(seen[0]!.headers["x-vault-namespace"], "team");
    assert.equal((await run("vault:old", { VAULT_ADDR: "", BAO_ADDR: `${address}/` })).code, 0);
    const home = mkdtempSync(join(tmpdir(), "imgtask-vault-"));
    writeFileSync(join(home, ".vault-token"), `${token}\n`);
    assert.equal((await run("vault:one", { VAULT_TOKEN: "", HOME: home })).code, 0);
    rmSync(home, { recursive: true });
    for (const canary of [value, token]) assert.equal(everything(project.directory).includes(canary), false);
  });

  test("says what is wrong, and never with the token", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const closed = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    await new Promise((resolve) => other.close(resolve));
    const cases: readonly (readonly [string, string, Readonly<Record<string, string>>, typeof mode, number, RegExp])[] = [
      ["a wrong token", "vault:one", { VAULT_TOKEN: "s.another-canary" }, "good", 4, /IMG1009[^]*403: permission denied/],
      ["no address", "vault:one", { VAULT_ADDR: "" }, "good", 4, /IMG1009[^]*VAULT_ADDR/],
      ["no token", "vault:one", { VAULT_TOKEN: "", HOME: "/nonexistent" }, "good", 4, /IMG1009[^]*vault login/],
      ["a deleted version", "vault:deleted", {}, "good", 4, /IMG1009[^]*it was deleted/],
      ["no such secret", "vault:gone", {}, "good", 4, /IMG1007[^]*secret\/lab\/never#token/],
      ["no such field", "vault:missing", {}, "good", 4, /IMG1007/],
      ["a sealed one", "vault:one", {}, "sealed", 75, /IMG5001[^]*sealed/],
      ["a redirect", "vault:one", {}, "redirect", 4, /IMG1009[^]*redirect/],
      ["something else", "vault:one", {}, "html", 4, /IMG1009[^]*not Vault/],
      ["nobody", "vault:one", { VAULT_ADDR: closed }, "good", 75, /IMG5001[^]*ECONNREFUSED/],
    ];
    for (const [what, target, env, how, code, words] of cases) {
      mode = how;
      const result = await run(target, env);
      mode = "good";
      assert.equal(result.code, code, `${what}: ${result.stderr}`);
      assert.match(result.stderr, words, what);
      assert.doesNotMatch(result.stderr + everything(project.path(".imgtask")).toString("latin1"), /canary|4711/, what);
    }
  });

  test("refuses paths that would ask for something else", () => {
    for (const path of ["../sys/seal", "a//b", "a?version=1", "a#b", "", "/a", "a/.", "a\nb"]) assert.throws(() => vault(path, "token"), /IMG2035|Bad name/, path);
    assert.throws(() => vault("a", ""), /Bad name/);
    assert.throws(() => vault("a", "b", { keyVersion: 0 }), /Bad name/);
  });
});
