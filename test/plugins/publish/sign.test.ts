/**
 * Signed publications: what `minisign` and `sha256sum` say of them; a place that collects several; keys and lists that
 * are refused.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { output, secret, target } from "../../../lib/mod.ts";
import { generateKey, publicKeyFile } from "../../../lib/minisign-key.ts";
import { directory } from "../../../plugins/publish/directory.ts";
import { publish } from "../../../plugins/publish/publish.ts";
import { minisign, type Signer } from "../../../plugins/publish/sign.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { scratch } from "../../rig/scratch.ts";

const handle = { key: secret.file("release.key") };
const thing = (name: string) => target(name, { outputs: { out: output("file", "thing", { path: `artifacts/${name.replace(":", "/")}.bin` }) }, run: () => {} });
let count = 0;

/** Publishes files to `place` below a directory, as a publication of its own. */
async function send(base: string, files: Readonly<Record<string, string>>, sign?: { readonly signer: Signer; readonly secrets: Record<string, string> }): Promise<{ readonly log: string; readonly receipt: { readonly files: readonly { readonly name: string }[] } }> {
  const name = `signed-${count++}`;
  const paths: Record<string, string> = {};
  mkdirSync(join(base, "in"), { recursive: true });
  const artifacts = Object.entries(files).map(([one, content], index) => {
    paths[`inputs.artifacts.${index}`] = join(base, "in", `${count}-${index}`);
    writeFileSync(paths[`inputs.artifacts.${index}`]!, content);
    return thing(`${one}:x`);
  });
  publish(name, { artifacts, to: directory(join(base, "place")), ...(sign === undefined ? {} : { sign: sign.signer }) });
  const ran = await runRecipe(`publish:${name}`, paths, { secrets: sign?.secrets ?? {} });
  try {
    return { log: ran.log(), receipt: JSON.parse(readFileSync(ran.outputs["out"]!, "utf8")) };
  } finally {
    ran.dispose();
  }
}

function accepted(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

test("minisign accepts what is signed, name and digest in the comment, with keys of its own and with ours", { timeout: 300_000 }, async (t) => {
  const base = scratch(t), place = join(base, "place");
  execFileSync("minisign", ["-G", "-W", "-p", "plain.pub", "-s", "plain.key"], { cwd: base, stdio: "ignore" });
  execFileSync("minisign", ["-G", "-p", "locked.pub", "-s", "locked.key"], { cwd: base, input: "correct horse\ncorrect horse\n", stdio: ["pipe", "ignore", "ignore"] });
  const own = generateKey();
  writeFileSync(join(base, "own.pub"), publicKeyFile(own.publicKey));
  writeFileSync(join(base, "own.key"), await own.file());
  const locked = minisign({ ...handle, password: secret.env("PASSWORD") });
  let signatures = 0;
  for (const [name, signer, password] of [["plain", minisign(handle), undefined], ["locked", locked, "correct horse"], ["own", minisign(handle), undefined]] as const) {
    rmSync(place, { recursive: true, force: true });
    const signingKey = readFileSync(join(base, `${name}.key`), "utf8");
    const sign = { signer, secrets: { signingKey, ...(password === undefined ? {} : { signingPassword: password }) } };
    const { log } = await send(base, { iso: "bytes of the image", disk: "" }, sign);
    const pub = join(base, `${name}.pub`);
    for (const file of ["iso-x.bin", "disk-x.bin", "SHA256SUMS"]) {
      const said = accepted("minisign", ["-V", "-H", "-p", pub, "-m", file], place);
      const digest = execFileSync("sha256sum", [file], { cwd: place, encoding: "utf8" }).slice(0, 64);
      assert.match(said, new RegExp(`timestamp:\\d+\\tfile:${file.replaceAll(".", "\\.")}\\tsha256:${digest}\\thashed`));
      signatures++;
    }
    assert.match(accepted("sha256sum", ["--check", "--strict", "SHA256SUMS"], place), /iso-x\.bin: OK/);
    for (const text of signingKey.split("\n").filter((line) => line.length > 60)) assert.equal(log.includes(text), false);
    const again = await send(base, { iso: "bytes of the image", disk: "" }, sign);
    assert.doesNotMatch(again.log, /published to/, "the second time nothing is sent");
    if (name === "locked") await assert.rejects(send(base, { iso: "x" }, { signer, secrets: { signingKey, signingPassword: "another horse" } }), { code: "IMG3581", found: /another password/ });
  }
  t.diagnostic(`${signatures} of 9 signatures accepted by minisign`);
});

test("a place collects what one key signed, and drops what is gone", async (t) => {
  const base = scratch(t), place = join(base, "place");
  const key = generateKey(), sign = { signer: minisign(handle), secrets: { signingKey: await key.file() } };
  writeFileSync(join(base, "k.pub"), publicKeyFile(key.publicKey));
  await send(base, { first: "1" }, sign);
  await send(base, { second: "2" }, sign);
  const names = (): string[] => readFileSync(join(place, "SHA256SUMS"), "utf8").trim().split("\n").map((line) => line.slice(66)).filter((name) => name.endsWith(".bin"));
  assert.deepEqual(names(), ["first-x.bin", "second-x.bin"]);
  accepted("sha256sum", ["--check", "--strict", "SHA256SUMS"], place);
  accepted("minisign", ["-V", "-p", join(base, "k.pub"), "-m", "SHA256SUMS"], place);
  rmSync(join(place, "first-x.bin"));
  await send(base, { third: "3" }, sign);
  assert.deepEqual(names(), ["second-x.bin", "third-x.bin"]);
});

test("a list that another signed, nobody signed, or somebody edited is not carried on", async (t) => {
  const base = scratch(t), sums = join(base, "place/SHA256SUMS");
  const keys = [generateKey(), generateKey()];
  const signs = await Promise.all(keys.map(async (key) => ({ signer: minisign(handle), secrets: { signingKey: await key.file() } })));
  await send(base, { first: "1" }, signs[0]!);
  const before = readFileSync(sums, "utf8");
  await assert.rejects(send(base, { second: "2" }, signs[1]!), { code: "IMG4190" });
  await assert.rejects(send(base, { second: "2" }), { code: "IMG4191" });
  writeFileSync(sums, `${before}${"0".repeat(64)}  evil.bin\n`);
  await assert.rejects(send(base, { second: "2" }, signs[0]!), { code: "IMG4190" });
  writeFileSync(sums, `${before}not a line\n`);
  await assert.rejects(send(base, { second: "2" }, signs[0]!), { code: "IMG4190" });
  writeFileSync(sums, before);
  rmSync(`${sums}.minisig`);
  await assert.rejects(send(base, { second: "2" }, signs[0]!), { code: "IMG4190" });
  assert.equal(existsSync(join(base, "place/second-x.bin")), false, "nothing was sent");
  // Nobody else's lines stand there: another key may take over.
  await send(base, { first: "1" }, signs[1]!);
});

test("what is no handle, or no key, is refused, and not shown", async (t) => {
  for (const key of [undefined, "RWQ-the-key-itself", {}, { type: "source", path: "x" }]) {
    assert.throws(() => minisign({ key: key as never }), (error: Error & { code: string }) => error.code === "IMG2040" && !error.message.includes("RWQ"));
  }
  const base = scratch(t);
  await assert.rejects(send(base, { iso: "x" }, { signer: minisign(handle), secrets: { signingKey: "no key at all" } }), (error: Error & { code: string }) => error.code === "IMG3581" && !error.message.includes("no key at all"));
  assert.equal(existsSync(join(base, "place")), false);
});
