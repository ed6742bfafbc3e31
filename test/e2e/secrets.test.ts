/**
 * Twelve secrets in eight forms, sent through every channel that leads out of a recipe: none arrives.
 * @module
 */
import assert from "node:assert/strict";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { TestProject } from "../rig/project.ts";

const canaries: readonly string[] = [
  "s3cr3t-Canary-00!",
  "49381726",
  `it's "quo'ted" 9`,
  "line-one-aaaa\nline-two-bbbb",
  "пароль-ключ-Ж9",
  "🔑key🔒lock-77",
  "100%25%zz%20sure",
  "$(rm -rf /)`x`;&|<>*?~",
  `-----BEGIN PRIVATE KEY-----\n${Array.from({ length: 6 }, (_, line) => Buffer.from(`canary-${line}-${"0123456789".repeat(4)}`).toString("base64")).join("\n")}\n-----END PRIVATE KEY-----`,
  "back\\slash\\n\\t\\x41end",
  Buffer.from(Array.from({ length: 192 }, (_, index) => (index * 73 + 41) % 256)).toString("base64"),
  "a b+c=d&e f/g?h#i",
];

/** Written out here as programs do it, apart from the code that is tested. */
const encoders = `
export const forms = ["plain", "base64", "base64url", "hex", "HEX", "percent", "json", "shell"];
export function encode(form, value) {
  switch (form) {
    case "plain": return value;
    case "base64": return Buffer.from("u:" + value + "@").toString("base64");
    case "base64url": return Buffer.from("u" + value).toString("base64url");
    case "hex": return Buffer.from(value).toString("hex");
    case "HEX": return Buffer.from(value).toString("hex").toUpperCase();
    case "percent": return new URLSearchParams({ v: value }).toString().slice(2) + " " + encodeURIComponent(value);
    case "json": return JSON.stringify({ value });
    case "shell": return "'" + value.replace(/'/g, "'\\\\''") + "'";
  }
}
`;

const imagefile = `import { secret, target, tool } from "imgtask";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { encode, forms } from "./encode.ts";
const count = ${canaries.length};
const of = (index) => ({ value: index % 2 === 0 ? secret.file("secrets/" + index) : secret.env("CANARY_" + index) });
for (let index = 0; index < count; index++) {
  target("says:" + index, { secrets: of(index), outputs: { out: "file" }, async run({ secrets, outputs, tmp, exec, $, log, progress }) {
    for (const form of forms) {
      const text = encode(form, secrets.value);
      const env = { TEXT: text };
      log("log " + text);
      log(text.slice(0, 3) + text);
      progress("progress " + text);
      await exec(["sh", "-c", 'printf "%s\\\\n" "$TEXT"; printf "%s\\\\n" "$TEXT" >&2'], { env });
      await exec([process.execPath, "-e", "const t = Buffer.from(process.env.TEXT); (async () => { for (let i = 0; i < t.length; i += 5) { await new Promise((done) => process.stdout.write(t.subarray(i, i + 5), done)); await new Promise((done) => setTimeout(done, t.length > 200 ? 0 : 1)); } process.stdout.write('\\\\n'); })()"], { env });
      const { stdout } = await exec(["cat"], { input: text, stdout: "capture" });
      if (stdout !== text) throw new Error("not the same");
      writeFileSync(tmp + "/text", text);
      await $\`cat \${tmp}/text; cat \${tmp}/text >&2; echo\`;
      console.log(text);
      process.stderr.write(text + "\\n");
    }
    await exec(["bash", "-c", 'set -x; echo "$TEXT"; printf "%q\\\\n" "$TEXT"; declare -p TEXT'], { env: { TEXT: secrets.value } });
    writeFileSync(outputs.out, "nothing of it");
    return secrets.value;
  } });
  for (const form of forms) for (const channel of ["error", "cause", "exit", "zx-exit", "argv", "zx-argv", "content", "tree", "name", "link"]) {
    target(channel + ":" + index + "-" + form, { secrets: of(index), params: { form, channel }, outputs: { out: channel === "content" || channel === "error" ? "file" : "tree" }, async run({ secrets, params, outputs, tmp, exec, $ }) {
      const text = encode(params.form, secrets.value);
      if (params.channel === "error") throw new Error("failed with " + text);
      if (params.channel === "cause") throw new Error("failed", { cause: new TypeError(text) });
      if (params.channel === "exit") await exec(["sh", "-c", "exit 3"], { env: { TEXT: text } });
      if (params.channel === "zx-exit") { writeFileSync(tmp + "/t", text); await $\`cat \${tmp}/t >&2; exit 3\`; }
      if (params.channel === "argv") await exec(["echo", "x" + text]);
      if (params.channel === "zx-argv") await $\`echo \${text}\`;
      if (params.channel === "content") return writeFileSync(outputs.out, "x".repeat(1048570) + text);
      mkdirSync(outputs.out + "/d", { recursive: true });
      if (params.channel === "tree") writeFileSync(outputs.out + "/d/f", text);
      if (params.channel === "name") writeFileSync(outputs.out + "/d/" + text.replaceAll("/", "").slice(0, 200) , "");
      if (params.channel === "link") symlinkSync(text, outputs.out + "/d/l");
    } });
  }
}
`;

const encode = (await import(`data:text/javascript,${encodeURIComponent(encoders)}`)) as { forms: readonly string[]; encode(form: string, value: string): string };

/** Texts that must be nowhere. Of base64 what does not depend on the text around. */
function traces(value: string): readonly string[] {
  const base64 = [0, 1, 2].map((shift) => Buffer.from(" ".repeat(shift) + value).toString("base64").replace(/=+$/, "").slice(shift + 2, -3));
  const others = encode.forms.filter((form) => !form.startsWith("base64")).flatMap((form) => (form === "percent" ? encode.encode(form, value).split(" ") : [form === "json" ? JSON.stringify(value).slice(1, -1) : form === "shell" ? value.replaceAll("'", "'\\''") : encode.encode(form, value)]));
  return [...base64, ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")), ...others, ...value.split("\n").filter((line) => line.length >= 8)];
}

function everything(directory: string): readonly (readonly [string, Buffer])[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry): readonly (readonly [string, Buffer])[] => {
    const path = join(directory, entry.name);
    const name = [path, Buffer.from(entry.name)] as const;
    if (entry.isDirectory()) return [name, ...everything(path)];
    return [name, [path, lstatSync(path).isSymbolicLink() ? Buffer.from(readlinkSync(path)) : lstatSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0)] as const];
  });
}

function hits(places: readonly (readonly [string, Buffer])[]): readonly string[] {
  return canaries.flatMap((value, index) => traces(value).flatMap((text) => places.filter(([, bytes]) => bytes.includes(text)).map(([place]) => `${index} ${JSON.stringify(text.slice(0, 30))} in ${place}`)));
}

function project(t: TestContext): { readonly one: TestProject; readonly env: Record<string, string> } {
  const one = new TestProject({ "encode.ts": encoders, "imagefile.ts": imagefile });
  t.after(() => one.eject());
  const env: Record<string, string> = {};
  canaries.forEach((value, index) => (index % 2 === 0 ? one.write(`secrets/${index}`, `${value}\n`) : (env[`CANARY_${index}`] = value)));
  return { one, env };
}

test("no secret leaves a recipe, in whatever form and by whatever way", { timeout: 600_000 }, async (t) => {
  const { one, env } = project(t);
  const commandLines = new Map<string, Buffer>();
  const sample = setInterval(() => {
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const line = readFileSync(`/proc/${name}/cmdline`);
        commandLines.set(`command line ${line.toString("latin1").slice(0, 40)} ${line.length}`, line);
      } catch {
        // It has ended.
      }
    }
  }, 20);
  t.after(() => clearInterval(sample));
  const channels = ["error", "cause", "exit", "zx-exit", "argv", "zx-argv", "content", "tree", "name", "link"];
  const summary = one.path("summary.md");
  const runs = [
    await one.start(["run", "--json", "says:*", "-k"], { env, timeout: 300_000 }).finished,
    await one.start(["run", "--verbose", "--force", "says:*"], { env, timeout: 300_000 }).finished,
    await one.start(["run", "--json", "-k", ...channels.map((channel) => `${channel}:*`)], { env, timeout: 500_000 }).finished,
    await one.start(["run", "-k", "error:*", "cause:*", "zx-exit:1-*"], { env: { ...env, IMGTASK_DEBUG: "1" }, timeout: 300_000 }).finished,
  ];
  clearInterval(sample);
  assert.equal(runs[0]!.code, 0, runs[0]!.stdout.slice(-2000));
  assert.equal(runs[1]!.code, 0);
  assert.equal(runs[2]!.code, 1);
  const failed = runs[2]!.stdout.trim().split("\n").map((line) => JSON.parse(line) as { type: string; target: string; error: { code: string } }).filter(({ type }) => type === "target failed");
  const codes: Readonly<Record<string, string>> = { error: "IMG3020", cause: "IMG3020", exit: "IMG3002", "zx-exit": "IMG3002", argv: "IMG3050", "zx-argv": "IMG3050", content: "IMG3051", tree: "IMG3051", name: "IMG3051", link: "IMG3051" };
  const wrong = channels.flatMap((channel) => canaries.flatMap((_, index) => encode.forms.filter((form) => {
    const code = failed.find(({ target }) => target === `${channel}:${index}-${form}`)?.error.code;
    // A name without its slashes, or cut, is another text; a name or link that is too long cannot be made.
    return code !== codes[channel] && !((channel === "name" || channel === "link") && (code === undefined || code === "IMG3020"));
  }).map((form) => `${channel}:${index}-${form}`)));
  assert.deepEqual(wrong, []);
  const streams = runs.flatMap(({ stdout, stderr }, index) => [[`output ${index}`, Buffer.from(stdout)] as const, [`error ${index}`, Buffer.from(stderr)] as const]);
  const kept = readdirSync(one.directory).filter((name) => name !== "secrets" && name !== "node_modules").flatMap((name) => (lstatSync(one.path(name)).isDirectory() ? everything(one.path(name)) : [[name, readFileSync(one.path(name))] as const]));
  const places = [...streams, ...kept, ...commandLines];
  assert.deepEqual(hits(places).slice(0, 20), []);
  // The same search finds what is there.
  assert.equal(new Set(hits([...everything(one.path("secrets")), ...Object.entries(env).map(([name, value]) => [name, Buffer.from(value)] as const)]).map((hit) => hit.split(" ")[0])).size, canaries.length);
  assert.match(readFileSync(one.path(".imgtask/logs/says:0/latest.log"), "utf8"), /log \*\*\*\n/);
  assert.ok(commandLines.size > 20);
  assert.equal(runs[0]!.stderr.includes(summary), false);
  t.diagnostic(`${canaries.length} secrets × ${encode.forms.length} forms × ${9 + channels.length} channels, ${places.length} places (${commandLines.size} command lines) searched: ${hits(places).length} hits`);
});

test("a new value makes nothing stale, a new version does; a fresh target needs no value", async (t) => {
  const one = new TestProject();
  t.after(() => one.eject());
  const write = (version: string): void => one.write("imagefile.ts", `import { secret, target } from "imgtask"; import { writeFileSync } from "node:fs";
export default target("t:a", { secrets: { s: secret.env("S"${version}) }, outputs: { out: "file" }, run({ outputs, secrets }) { writeFileSync(outputs.out, String(secrets.s.length)); } });\n`);
  const run = async (value: string | undefined): Promise<{ code: number | null; text: string }> => {
    const { code, stdout, stderr } = await one.start(["run", "--json"], { env: { S: value } }).finished;
    return { code, text: stdout + stderr };
  };
  write("");
  assert.match((await run("first-value")).text, /target done/);
  assert.doesNotMatch((await run("second-value")).text, /target done/);
  assert.equal((await run(undefined)).code, 0);
  write(`, { version: "2" }`);
  assert.match((await run(undefined)).text, /IMG1007[^]*Export S in the shell/);
  assert.equal((await run("short")).code, 4);
  assert.match((await run("third-value")).text, /target done/);
});

test("a secret in what is declared is refused before anything is written", async (t) => {
  const value = "declared-canary-1";
  const cases = [
    `target("t:a", { secrets: { s: secret.file("key") }, params: { x: "${Buffer.from(value).toString("base64")}" }, outputs: {}, run() {} });`,
    `target("t:a", { secrets: { s: secret.env("S") }, env: ["S"], outputs: {}, run() {} });`,
    `target("t:a", { secrets: { s: secret.env("S") }, outputs: {}, run() {} }); target("t:b", { env: ["S"], outputs: {}, run() {} });`,
    `const x = process.env.S; target("t:a", { secrets: { s: secret.env("S") }, outputs: {}, run() {} });`,
    `import { readFileSync } from "node:fs"; readFileSync("key"); target("t:a", { secrets: { s: secret.file("key") }, outputs: {}, run() {} });`,
  ];
  for (const code of cases) {
    const one = new TestProject({ key: `${value}\n`, "imagefile.ts": `import { secret, target } from "imgtask";\n${code}\n` });
    t.after(() => one.eject());
    const { code: exit, stderr } = await one.start(["run", "t:a"], { env: { S: value } }).finished;
    assert.match(stderr, /IMG2036/, code);
    assert.equal(exit, 2);
    assert.equal(one.exists(".imgtask/snapshot"), false);
  }
});

test("GitHub's runner is told to mask, line by line", async (t) => {
  const one = new TestProject({ key: "line-one-aaaa\nline-two-%-bb\n", "imagefile.ts": `import { secret, target } from "imgtask";
export default target("t:a", { secrets: { s: secret.file("key") }, outputs: {}, run({ log, secrets }) { log(secrets.s); } });\n` });
  t.after(() => one.eject());
  const { code, stdout, stderr } = await one.start(["run"], { env: { GITHUB_ACTIONS: "true" } }).finished;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "::add-mask::line-one-aaaa\n::add-mask::line-two-%25-bb\n");
  assert.doesNotMatch(stderr, /line-one|line-two/);
});
