/**
 * Signed results with the real command line: what somebody who can write to `.imgtask` gets into a build without
 * trusted keys, and that none of it gets in with them.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { digestOf } from "../../lib/digest.ts";
import { StatCache } from "../../lib/stat-cache.ts";
import { note, preamble, TestProject } from "../rig/project.ts";
import { scratch } from "../rig/scratch.ts";

const files = {
  "a.txt": "right",
  "imagefile.ts": `${preamble}
const a = target("make:a", { inputs: { a: source("a.txt") }, outputs: { out: output("file", "text", { path: "artifacts/a" }) },
  run({ target, inputs, outputs }) { ${note} writeFileSync(outputs.out, "made of " + readFileSync(inputs.a, "utf8")); } });
const b = target("make:b", { inputs: { a }, outputs: { out: output("file", "text", { path: "out/b" }) },
  async run({ target, inputs, outputs, exec }) { ${note} await exec(["env"]); writeFileSync(outputs.out, "b: " + readFileSync(inputs.a, "utf8")); } });
export default group("all", [a, b]);
`,
};

type Env = Readonly<Record<string, string>>;

interface Keys {
  readonly directory: string;
  /** Trusts and signs. */
  readonly main: Env;
  /** Trusts, and has no key. */
  readonly reader: Env;
  readonly id: string;
}

/** A key pair as the tool makes it. */
function keys(t: TestContext, password?: string): Keys {
  const directory = scratch(t);
  const made = spawnSync("minisign", ["-G", ...(password === undefined ? ["-W"] : []), "-p", "pub", "-s", "key"], { cwd: directory, input: password === undefined ? "" : `${password}\n${password}\n` });
  assert.equal(made.status, 0, String(made.stderr));
  const text = readFileSync(join(directory, "pub"), "utf8").split("\n")[1]!;
  const reader = { IMGTASK_TRUSTED_RESULTS: text, XDG_STATE_HOME: join(directory, "state") };
  const id = Buffer.from(text, "base64").subarray(2, 10).reverse().toString("hex").toUpperCase();
  return { directory, reader, main: { ...reader, IMGTASK_RESULT_KEY: join(directory, "key"), IMGTASK_BUILDER: "ci/main" }, id };
}

function project(t: TestContext): TestProject {
  const made = new TestProject(files);
  t.after(() => made.eject());
  return made;
}

/** A fresh checkout that is given the `.imgtask` of another, as a CI cache does. */
function checkout(t: TestContext, from: TestProject): TestProject {
  const made = project(t);
  cpSync(from.path(".imgtask"), made.path(".imgtask"), { recursive: true, verbatimSymlinks: true });
  return made;
}

async function run(made: TestProject, env: Env, ...argv: readonly string[]): Promise<{ readonly ran: readonly string[]; readonly stderr: string }> {
  const { code, stderr } = await made.start(["run", ...argv], { env }).finished;
  assert.equal(code, 0, stderr);
  return { ran: made.ran(), stderr };
}

function right(made: TestProject): void {
  assert.equal(made.read("artifacts/a"), "made of right");
  assert.equal(made.read("out/b"), "b: made of right");
  for (const path of ["artifacts/a", "out/b"]) assert.equal(lstatSync(made.path(path)).mode & 0o111, 0, path);
}

interface Line {
  record: { target: string; producer?: object; outputs: { [name: string]: { digest: string; size: number; executable?: boolean } } };
  signature: string | undefined;
}

/** Rewrites the log of results, with right checksums. */
function rewrite(made: TestProject, change: (lines: Line[]) => readonly Line[]): void {
  const lines = made.read(".imgtask/records").split("\n").filter((one) => one !== "").map((one): Line => {
    const [body, signature] = one.slice(17).split("\t") as [string, string | undefined];
    return { record: JSON.parse(body) as Line["record"], signature };
  });
  const text = change(lines).map(({ record, signature }) => {
    const line = signature === undefined ? JSON.stringify(record) : `${JSON.stringify(record)}\t${signature}`;
    return `\n${digestOf(line).slice(0, 16)} ${line}\n`;
  });
  writeFileSync(made.path(".imgtask/records"), text.join(""));
}

function objectOf(made: TestProject, digest: string): string {
  return made.path(".imgtask/store", digest.slice(0, 2), digest.slice(2));
}

const poison = "made of POISON";

/** What a pull request with a builder of its own leaves: other bytes under the fingerprint that main will have. */
function poisonResult(made: TestProject): void {
  const digest = digestOf(poison);
  rewrite(made, (lines) => lines.filter(({ record }) => record.target === "make:a").map(({ record, signature }) => ({ record: { ...record, outputs: { out: { ...record.outputs["out"]!, digest, size: poison.length } } }, signature })));
  mkdirSync(join(objectOf(made, digest), ".."), { recursive: true });
  writeFileSync(objectOf(made, digest), poison, { mode: 0o444 });
  // Caches of the pull request's own host would not fit here anyway.
  for (const name of readdirSync(made.path(".imgtask"))) if (!["records", "store"].includes(name)) rmSync(made.path(".imgtask", name), { recursive: true });
}

test("poison under main's fingerprint: taken by a run that trusts everybody, not by one that trusts keys", { timeout: 120_000 }, async (t) => {
  const { main, reader } = keys(t);
  const pull = project(t);
  await run(pull, {});
  poisonResult(pull);
  // This is why keys are needed: nothing runs, and the attacker's bytes are main's result.
  const naive = checkout(t, pull);
  assert.deepEqual((await run(naive, {}, "make:a")).ran, []);
  assert.equal(naive.read("artifacts/a"), poison);
  for (const env of [main, reader]) {
    const made = checkout(t, pull);
    const { ran, stderr } = await run(made, env);
    assert.deepEqual(ran, ["make:a", "make:b"]);
    assert.match(stderr, /IMG6002: 1 result that no trusted key signed was not taken/);
    right(made);
  }
});

test("signed results are taken in another checkout; tampered ones, unsigned ones and those of a revoked key are made anew", { timeout: 240_000 }, async (t) => {
  const { main, reader, id } = keys(t), other = keys(t);
  const first = project(t);
  assert.deepEqual((await run(first, main)).ran, ["make:a", "make:b"]);
  assert.deepEqual((await run(first, main)).ran, []);
  const second = checkout(t, first);
  const { ran, stderr } = await run(second, reader);
  assert.deepEqual(ran, []);
  assert.doesNotMatch(stderr, /trusted key/);
  right(second);
  assert.match((await second.start(["show", "make:a"], { env: reader }).finished).stdout, new RegExp(`key ${id}.*ci/main`));
  const both = { ...reader, IMGTASK_TRUSTED_RESULTS: `${other.reader["IMGTASK_TRUSTED_RESULTS"]},${reader["IMGTASK_TRUSTED_RESULTS"]}` };
  assert.deepEqual((await run(checkout(t, first), both)).ran, []);
  const attacks: readonly (readonly [string, Env, (made: TestProject) => void])[] = [
    ["revoked", other.reader, () => {}],
    ["signature stripped", reader, (made) => rewrite(made, (lines) => lines.map(({ record }) => ({ record, signature: undefined })))],
    ["poison with the signature of what it replaces", reader, poisonResult],
    ["made executable", reader, (made) => {
      rewrite(made, (lines) => lines.map(({ record, signature }) => ({ record: { ...record, outputs: { out: { ...record.outputs["out"]!, executable: true } } }, signature })));
      for (const name of readdirSync(made.path(".imgtask/store"))) for (const object of readdirSync(made.path(".imgtask/store", name))) renameSync(made.path(".imgtask/store", name, object), made.path(".imgtask/store", name, `${object}.x`));
    }],
    ["signatures swapped", reader, (made) => rewrite(made, ([a, b]) => [{ ...a!, signature: b!.signature }, { ...b!, signature: a!.signature }])],
    ["results of another target", reader, (made) => rewrite(made, ([a, b]) => [{ ...a!, record: { ...a!.record, target: "make:b" } }, { ...b!, record: { ...b!.record, target: "make:a" } }])],
    ["garbage", reader, (made) => made.write(".imgtask/records", "\0\n\n{}\n")],
  ];
  for (const [what, env, attack] of attacks) {
    const made = checkout(t, first);
    attack(made);
    assert.deepEqual((await run(made, env)).ran, ["make:a", "make:b"], what);
    right(made);
  }
  // An untrusted result of the same fingerprint, newer than main's, does not hide main's.
  const hidden = checkout(t, first);
  await run(hidden, {}, "--force", "make:a");
  rewrite(hidden, (lines) => [...lines, ...lines.map(({ record }) => ({ record: { ...record, outputs: {} }, signature: undefined }))]);
  assert.deepEqual((await run(hidden, reader)).ran, []);
  right(hidden);
  t.diagnostic(`${attacks.length} attacks on signed results: 0 taken`);
});

test("caches that others can write to are not believed", { timeout: 120_000 }, async (t) => {
  const { main, reader } = keys(t);
  const made = project(t);
  await run(made, main);
  // Nothing that is believed unread stands where others can write.
  // What stands in "recipes" is only shown, by why; "history" is figures.
  const names = readdirSync(made.path(".imgtask")).sort();
  assert.deepEqual(names.filter((name) => ![".gitignore", "history", "lock", "logs", "recipes", "records", "store", "tmp"].includes(name)), []);
  const digest = digestOf("made of right");
  /** Other bytes in place of a signed object, and a stat cache that vouches for them. */
  const attack = (vouched: TestProject): void => {
    const object = objectOf(vouched, digest);
    chmodSync(object, 0o644);
    writeFileSync(object, poison);
    chmodSync(object, 0o444);
    const cache = new StatCache(vouched.path(".imgtask/stat-cache"));
    cache.remember(object, lstatSync(object, { bigint: true }), digest, "own");
    cache.flush();
    vouched.rm("artifacts");
  };
  const naive = checkout(t, made);
  attack(naive);
  await run(naive, {}, "make:a");
  assert.equal(naive.read("artifacts/a"), poison, "without trusted keys, a stat cache is believed");
  attack(made);
  assert.deepEqual((await run(made, main)).ran, ["make:a"]);
  right(made);
  // A snapshot that declares something else, and says that it is of this imagefile.
  const plain = project(t);
  await run(plain, {});
  for (const name of ["snapshot", "evidence"].filter((one) => plain.exists(`.imgtask/${one}`))) {
    const text = plain.read(`.imgtask/${name}`);
    assert.ok(text.includes("artifacts/a") || name === "evidence");
    const body = text.slice(text.indexOf("\n") + 1).replaceAll("artifacts/a", "artifacts/evil");
    plain.write(`.imgtask/${name}`, `${digestOf(body)}\n${body}`);
  }
  assert.match((await plain.start(["show", "make:a"], { env: {} }).finished).stdout, /artifacts\/evil/, "without trusted keys, a snapshot is believed");
  assert.match((await plain.start(["show", "make:a"], { env: reader }).finished).stdout, /artifacts\/a\b/);
  plain.rm("artifacts");
  await run(plain, reader);
  right(plain);
  assert.equal(plain.exists("artifacts/evil"), false);
});

test("a run that trusts and cannot sign makes its own results anew, and stumbles over nothing that it left", { timeout: 120_000 }, async (t) => {
  const { reader } = keys(t);
  const made = project(t);
  for (let i = 0; i < 2; i++) {
    assert.deepEqual((await run(made, reader)).ran, ["make:a", "make:b"]);
    right(made);
  }
  // Out of imgtask's own directories, what somebody put there still stays.
  made.rm("out/b");
  made.write("out/b", "mine");
  const { code, stderr } = await made.start(["run"], { env: reader }).finished;
  assert.equal(code, 1);
  assert.match(stderr, /IMG3013/);
  assert.equal(made.read("out/b"), "mine");
});

test("a private key that was put there lets nobody into the next image; one that was signed is used again", { timeout: 120_000 }, async (t) => {
  const { main } = keys(t);
  const made = new TestProject({ "imagefile.ts": `import { keypair } from "imgtask";
import { output, target } from "imgtask";
import { copyFileSync } from "node:fs";
const key = keypair("lab");
export default target("make:image", { inputs: { key }, outputs: { out: output("file", "text", { path: "artifacts/authorized_keys" }) }, run({ inputs, outputs }) { copyFileSync(inputs.key, outputs.out); } });
` });
  t.after(() => made.eject());
  const attacker = join(scratch(t), "key");
  assert.equal(spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", attacker]).status, 0);
  const theirs = readFileSync(`${attacker}.pub`, "utf8");
  const letIn = (): string => made.read("artifacts/authorized_keys");
  /** Takes the results away, so that the key pair is made anew, from the key that is there. */
  const forget = (): void => { made.rm(".imgtask/records"); made.rm("artifacts"); };
  const plant = (): void => { forget(); made.rm(".imgtask/keys/lab"); made.write(".imgtask/keys/lab", readFileSync(attacker)); chmodSync(made.path(".imgtask/keys/lab"), 0o600); };
  plant();
  await run(made, {});
  assert.equal(letIn(), theirs, "without trusted keys, the planted key is used");
  plant();
  assert.match((await run(made, main)).stderr, /put aside: lab/);
  const ours = letIn();
  assert.notEqual(ours, theirs);
  forget();
  assert.doesNotMatch((await run(made, main)).stderr, /put aside/);
  assert.equal(letIn(), ours, "signed by the run that made it");
  const signature = made.read(".imgtask/keys/.signed/lab.minisig");
  const attacks: readonly (() => void)[] = [
    plant,
    () => { plant(); made.rm(".imgtask/keys/.signed"); },
    () => { plant(); made.write(".imgtask/keys/.signed/lab.minisig", signature.replace("private key", "private kex")); },
    () => { forget(); made.write(".imgtask/keys/lab", "no key"); },
    () => { forget(); made.rm(".imgtask/keys/lab"); mkdirSync(made.path(".imgtask/keys/lab")); },
  ];
  for (const attack of attacks) {
    attack();
    await run(made, main);
    assert.notEqual(letIn(), theirs, String(attack));
  }
  // The signed key of another name is no key of this name.
  made.write("imagefile.ts", made.read("imagefile.ts").replaceAll(`"lab"`, `"other"`));
  forget();
  cpSync(made.path(".imgtask/keys/lab"), made.path(".imgtask/keys/other"));
  cpSync(made.path(".imgtask/keys/.signed/lab.minisig"), made.path(".imgtask/keys/.signed/other.minisig"));
  assert.match((await run(made, main)).stderr, /put aside: other/);
  t.diagnostic(`${attacks.length + 1} planted private keys: 0 used`);
});

test("keys that cannot be used: an error that says so, before anything runs; no secret anywhere", { timeout: 240_000 }, async (t) => {
  const plain = keys(t), locked = keys(t, "hush-hush");
  const made = project(t);
  const secret = readFileSync(join(locked.directory, "key"), "utf8");
  const lines = secret.split("\n");
  const failures: readonly (readonly [Env, number, RegExp])[] = [
    [{ ...plain.main, IMGTASK_RESULT_KEY: join(plain.directory, "none") }, 2, /IMG2030[^]*ENOENT/],
    [{ ...plain.main, IMGTASK_TRUSTED_RESULTS: locked.reader["IMGTASK_TRUSTED_RESULTS"]! }, 2, /IMG2032/],
    [{ IMGTASK_RESULT_KEY: join(plain.directory, "key") }, 2, /IMG2032/],
    [{ ...plain.main, IMGTASK_TRUSTED_RESULTS: made.path("a.txt") }, 2, /IMG2031/],
    [locked.main, 2, /IMG2029[^]*IMGTASK_RESULT_KEY_PASSWORD/],
    [{ ...locked.main, IMGTASK_RESULT_KEY_PASSWORD: "hush-hush!" }, 2, /IMG2029[^]*IMGTASK_RESULT_KEY_PASSWORD/],
    [{ ...plain.main, XDG_STATE_HOME: made.path("state") }, 2, /IMG2027/],
  ];
  for (const [env, expected, words] of failures) {
    const { code, stdout, stderr } = await made.start(["run"], { env }).finished;
    assert.equal(code, expected, stderr);
    assert.match(stderr, words);
    assert.deepEqual(made.ran(), []);
    assert.doesNotMatch(stdout + stderr, /hush/);
  }
  // The content of the key instead of its path, with its password; a recipe logs the environment of its commands.
  const env = { ...locked.main, IMGTASK_RESULT_KEY: secret, IMGTASK_RESULT_KEY_PASSWORD: "hush-hush" };
  const { ran, stderr } = await run(made, env, "-v");
  assert.deepEqual(ran, ["make:a", "make:b"]);
  assert.deepEqual((await run(made, env)).ran, [], "and what it signed is believed");
  let seen = 0;
  const look = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) look(path);
      else if (entry.isFile()) {
        const text = readFileSync(path, "latin1");
        for (const canary of ["hush-hush", lines[1]!, lines[1]!.slice(80, 120)]) assert.equal(text.includes(canary), false, path);
        seen++;
      }
    }
  };
  look(made.path(".imgtask"));
  look(locked.main["XDG_STATE_HOME"]!);
  assert.ok(existsSync(made.path(".imgtask/logs/make:b/latest.log")));
  assert.doesNotMatch(stderr, /hush/);
  const doctor = await made.start(["doctor"], { env }).finished;
  assert.match(doctor.stdout, new RegExp(`signed results +.*${locked.id}`));
  assert.doesNotMatch(doctor.stdout + doctor.stderr, /hush/);
  t.diagnostic(`${failures.length} unusable keys, each refused by name; ${seen} files without a secret`);
});
