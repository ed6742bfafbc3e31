/**
 * `run --audit`: what is undeclared is found whatever way it is used, what is declared is never reported, and what
 * could not be observed is never called clean.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { which } from "../../lib/process.ts";
import { type Finished, TestProject } from "../rig/project.ts";

const root = process.getuid?.() === 0;
const skip = which("strace") === undefined ? "no strace" : false;

const head = `import { group, output, source, target, tool } from "imgtask";
import * as fs from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { connect } from "node:net";
import { helper } from "./helper.ts";
const tools = ["cat", "ln", "mv", "rm", "find", "unshare", "mount", "chroot", "setsid", "cp", "mkdir", "true"].map((name) => tool(name, { packages: { apt: "coreutils" } }));
const ldconfig = tool("ldconfig", { packages: { apt: "libc-bin" } });
const a = source("conf/a.txt");
const dir = source("data");
const base = (more) => ({ inputs: { a }, tools, outputs: { out: "file" }, ...more });
const made = target("ok:made", { outputs: { out: "file", tree: "tree" }, run({ outputs }) { fs.writeFileSync(outputs.out, "1"); fs.mkdirSync(outputs.tree + "/sub", { recursive: true }); fs.writeFileSync(outputs.tree + "/sub/f", "2"); } });
const bad = (name, run, more = {}) => target("bad:" + name, base({ ...more, async run(context) { fs.readFileSync(context.inputs.a); await run(context); fs.writeFileSync(context.outputs.out, "x"); } }));
const ok = (name, run, more = {}) => target("ok:" + name, base({ ...more, async run(context) { if (context.inputs.a) fs.readFileSync(context.inputs.a); await run(context); fs.writeFileSync(context.outputs.out, "x"); } }));
`;

/** Each uses one undeclared thing; `type what` as the report has it. */
const planted: readonly (readonly [name: string, code: string, type: string, what: string])[] = [
  ["sync", "({ project }) => fs.readFileSync(project + '/secret/sync')", "read", "secret/sync"],
  ["async", "({ project }) => readFile(project + '/secret/async')", "read", "secret/async"],
  ["stream", "({ project }) => new Promise((done) => fs.createReadStream(project + '/secret/stream').resume().on('close', done))", "read", "secret/stream"],
  ["worker", "({ project }) => new Promise((done) => new Worker('require(\"node:fs\").readFileSync(' + JSON.stringify(project + '/secret/worker') + ')', { eval: true }).on('exit', done))", "read", "secret/worker"],
  ["command", "({ project, exec }) => exec(['cat', project + '/secret/command'])", "read", "secret/command"],
  ["shell", "({ project, $ }) => $`cat ${project}/secret/shell`", "read", "secret/shell"],
  ["grandchild", "({ project, $ }) => $`sh -c 'sh -c \"cat \"$0; true' ${project}/secret/grandchild`", "read", "secret/grandchild"],
  ["static", "({ project, tmp, exec }) => exec(['ldconfig', '-N', '-X', '-f', project + '/secret/static', '-C', tmp + '/cache'])", "read", "secret/static"],
  ["symlink", "({ project }) => fs.readFileSync(project + '/link-to-secret')", "read", "secret/symlink"],
  ["link", "({ project }) => fs.readFileSync(project + '/link-to-a')", "read", "link-to-a"],
  ["inner-link", "({ project, tmp }) => { fs.symlinkSync(project + '/secret/inner', tmp + '/s'); fs.readFileSync(tmp + '/s'); }", "read", "secret/inner"],
  ["relative", "({ project, $ }) => $`cd ${project}/conf && cd .. && cat secret/relative`", "read", "secret/relative"],
  ["descriptor", "({ project, exec }) => exec(['find', project + '/data', '-maxdepth', '0', '-execdir', 'cat', 'secret/descriptor', ';'])", "read", "secret/descriptor"],
  ["hostile", "({ project, exec }) => exec(['cat', project + '/secret/new\\nline \"q\" <ä> \\\\ )=1'])", "read", 'secret/new\nline "q" <ä> \\ )=1'],
  ["detached", "({ project, $ }) => $`setsid sh -c ${'cat ' + project + '/secret/detached'}`", "read", "secret/detached"],
  ["hard-link", "({ project, tmp, exec }) => exec(['ln', project + '/secret/hard', tmp + '/h'])", "read", "secret/hard"],
  ["redirect", "({ project, $ }) => $`cat < ${project}/secret/redirect`", "read", "secret/redirect"],
  ["ring", "({ project, exec }) => exec([process.execPath, '-e', 'require(\"node:fs/promises\").readFile(process.argv[1])', project + '/secret/ring'], { env: { UV_USE_IO_URING: '1' } })", "read", "secret/ring"],
  ["artifact", "({ project }) => fs.readFileSync(fs.readdirSync(project + '/.imgtask/store').map((two) => project + '/.imgtask/store/' + two)[0] + '/x', { flag: 'r' })", "list", ".imgtask/store"],
  ["list", "({ project }) => fs.readdirSync(project + '/secret')", "list", "secret"],
  ["list-by-command", "({ project, exec }) => exec(['find', project + '/secret/deep', '-maxdepth', '1'])", "list", "secret/deep"],
  ["probe", "({ project }) => fs.existsSync(project + '/not-there')", "probe", "not-there"],
  ["probe-by-shell", "({ project, $ }) => $`[ -e ${project}/not-here ] || true`", "probe", "not-here"],
  ["look", "({ project }) => fs.statSync(project + '/secret/look')", "probe", "secret/look"],
  ["write", "({ project }) => fs.writeFileSync(project + '/written', '')", "write", "written"],
  ["write-by-command", "({ inputs, project, exec }) => exec(['cp', inputs.a, project + '/copied'])", "write", "copied"],
  ["rename", "({ project, tmp, exec }) => exec(['mv', project + '/moving', tmp + '/moved'])", "write", "moving"],
  ["remove", "({ project, exec }) => exec(['rm', project + '/removed'])", "write", "removed"],
  ["make-directory", "({ project, exec }) => exec(['mkdir', project + '/made'])", "write", "made"],
  ["environment", "() => process.env.UNDECLARED", "environment", "UNDECLARED"],
  ["tool", "({ exec, inputs }) => exec(['gzip', '-k', '-c', inputs.a])", "tool", "gzip"],
  ["tool-in-shell", "({ $ }) => $`echo 1 | sed p`", "tool", "sed"],
  ["script", "({ project, exec }) => exec([project + '/secret/script'])", "read", "secret/script"],
  ["network", "() => new Promise((done) => { const one = connect(9, '192.0.2.1'); one.on('error', done); setTimeout(() => done(one.destroy()), 50); })", "network", "192.0.2.1 port 9"],
  ["socket", "() => new Promise((done) => connect(SOCKET).on('error', done).on('connect', function () { this.end(); done(); }))", "socket", "SOCKET"],
  ...(root
    ? ([
        ["bind-mount", "({ project, tmp, exec }) => exec(['unshare', '--mount', 'sh', '-c', 'mkdir r && mount --bind ' + project + '/secret/deep r && cat r/inside'])", "read", "secret/deep"],
        ["chroot", "({ project, exec }) => exec(['unshare', '--mount', 'chroot', '/', 'cat', project + '/secret/chroot'])", "read", "secret/chroot"],
      ] as const)
    : []),
];

const clean: readonly (readonly [name: string, code: string, more?: string])[] = [
  ["nothing", "() => {}"],
  ["input", "({ inputs, exec, $ }) => Promise.all([readFile(inputs.a), exec(['cat', inputs.a]), $`cat < ${inputs.a} | cat`])"],
  ["directory", "({ inputs, $ }) => (fs.existsSync(inputs.dir + '/new'), $`find ${inputs.dir} -type f -exec cat {} +`)", "inputs: { a, dir }"],
  ["glob", "({ inputs }) => inputs.all.map((one) => fs.readFileSync(one))", "inputs: { a, all: source.glob('data/**') }"],
  ["upstream", "({ inputs, exec }) => exec(['cat', inputs.made, inputs.tree + '/sub/f'])", "inputs: { a, made, tree: made.outputs.tree }"],
  ["scratch", "async ({ tmp, exec }) => { await exec(['mkdir', tmp + '/d']); fs.writeFileSync(tmp + '/d/f', '1'); await exec(['cp', 'd/f', 'd/g']); await exec(['mv', 'd/g', 'h']); fs.readdirSync(tmp); await exec(['rm', '-r', 'd', 'h']); }"],
  ["environment", "({ env }) => env.DECLARED", "env: ['DECLARED']"],
  ["environment-of-command", "({ $ }) => $`echo $DECLARED`", "env: ['DECLARED']"],
  ["node", "({ tmp, exec }) => (fs.writeFileSync(tmp + '/x.mjs', 'import \"node:fs\"'), exec([process.execPath, tmp + '/x.mjs']))"],
  ["static", "({ inputs, tmp, exec }) => exec(['ldconfig', '-N', '-X', '-f', inputs.a, '-C', tmp + '/cache'])", "tools: [ldconfig]"],
  ["helper", "({ log }) => log(helper())"],
  ["late-helper", "async ({ log }) => log((await import('./late.ts')).late())"],
  ["network", "() => new Promise((done) => { const one = connect(9, '192.0.2.1'); one.on('error', done); setTimeout(() => done(one.destroy()), 50); })", "resources: { network: true }"],
  ["local-network", "() => new Promise((done) => connect(1, '127.0.0.1').on('error', done))"],
  ["untracked", "({ project }) => (fs.readFileSync(project + '/secret/sync'), fs.writeFileSync(project + '/cache/x', ''))", "untracked: { reads: ['secret'], writes: ['cache'] }"],
  ...(root ? ([["namespace", "({ exec }) => exec(['unshare', '--mount', '--pid', '--fork', 'sh', '-c', 'mkdir r && mount -t tmpfs tmpfs r && mkdir r/etc && cp /bin/true r/etc/t && cat r/etc/t > r/u && true'])"]] as const) : []),
];

interface Audited {
  readonly target: string;
  readonly undeclared: readonly { readonly type: string; readonly what: string; readonly by: string | null }[];
  readonly unused: readonly { readonly type: string; readonly what: string }[];
}

function project(t: TestContext, text: string): TestProject {
  const one = new TestProject({ "imagefile.ts": head + text, "conf/a.txt": "a\n", "data/one": "1", "data/sub/two": "2", "helper.ts": "export const helper = () => 'h';\n", "late.ts": "export const late = () => 'l';\n" });
  t.after(() => one.eject());
  one.write("secret/script", "#!/bin/sh\nexit 0\n");
  return one;
}

function events(finished: Finished): readonly ({ readonly type: string; readonly target: string } & Audited & { readonly error?: { readonly code: string; readonly found: string } })[] {
  return finished.stdout.trim().split("\n").map((line) => JSON.parse(line) as never);
}

test("every undeclared use is found, and nothing that is declared is reported", { skip, timeout: 300_000 }, async (t) => {
  const socket = join(tmpdir(), `imgtask-audit-${process.pid}`);
  const server = createServer((connection) => connection.end()).listen(socket);
  t.after(() => server.close());
  const one = project(t, [
    ...planted.map(([name, code]) => `bad(${JSON.stringify(name)}, ${code.replace("SOCKET", JSON.stringify(socket))}${name === "static" ? ", { tools: [...tools, ldconfig] }" : ""});`),
    ...clean.map(([name, code, more]) => `ok(${JSON.stringify(name)}, ${code}, {${more ?? ""}});`),
  ].join("\n"));
  const { chmodSync, symlinkSync } = await import("node:fs");
  for (const [, , type, what] of planted) if (type === "read" && what.startsWith("secret/") && what !== "secret/script" && what !== "secret/deep") one.write(what, "x\n");
  for (const name of ["secret/look", "secret/deep/inside", "moving", "removed", "cache/old"]) one.write(name, "x\n");
  chmodSync(one.path("secret/script"), 0o755);
  symlinkSync("secret/symlink", one.path("link-to-secret"));
  symlinkSync("conf/a.txt", one.path("link-to-a"));
  const finished = await one.start(["run", "--audit", "--json", "bad:*", "ok:*"], { env: { DECLARED: "1", UNDECLARED: "2" }, timeout: 280_000 }).finished;
  assert.equal(finished.stderr, "");
  assert.equal(finished.code, 1);
  const all = events(finished);
  const audited = new Map(all.filter(({ type }) => type === "target audited").map((event) => [event.target, event]));
  const failed = new Map(all.filter(({ type }) => type === "target failed").map((event) => [event.target, event.error!]));
  const wrong: string[] = [];
  let found = 0;
  for (const [name, , type, what] of planted) {
    const { undeclared } = audited.get(`bad:${name}`) ?? { undeclared: [] };
    const expected = what === "SOCKET" ? socket : type === "tool" || type === "network" || type === "environment" ? what : one.path(what);
    const hit = undeclared.some((finding) => finding.type === type && (type === "tool" ? finding.what.endsWith(`/${what}`) : finding.what === expected));
    if (hit && failed.get(`bad:${name}`)?.code === (name === "artifact" ? "IMG3020" : "IMG3040")) found++;
    else if (name !== "artifact") wrong.push(`${name}: ${JSON.stringify(undeclared)} ${JSON.stringify(failed.get(`bad:${name}`))}`);
  }
  // What the way there touches too.
  const others = ["link-to-secret", "/data"];
  const extra = planted.flatMap(([name, , , what]) => (audited.get(`bad:${name}`)?.undeclared ?? []).filter((finding) => !finding.what.endsWith(what) && finding.what !== socket && !others.some((other) => finding.what.endsWith(other))).map((finding) => `${name}: ${JSON.stringify(finding)}`));
  const names = ["made", ...clean.map(([name]) => name)];
  const reported = names.flatMap((name) => (audited.get(`ok:${name}`)?.undeclared.length === 0 && !failed.has(`ok:${name}`) ? [] : [`${name}: ${JSON.stringify(audited.get(`ok:${name}`)?.undeclared)} ${JSON.stringify(failed.get(`ok:${name}`))}`]));
  t.diagnostic(`undeclared uses planted: ${planted.length - 1}, found: ${found}; clean targets: ${names.length}, reported: ${reported.length}; other reports: ${extra.length}`);
  assert.deepEqual(wrong, []);
  assert.deepEqual(reported, []);
  assert.deepEqual(extra, []);
  // What did not pass is not on record: it is stale, and what passed is fresh.
  const plan = JSON.parse((await one.imgtask("plan", "--json", "ok:input", "bad:sync")).stdout) as readonly { readonly target: string }[];
  assert.ok(JSON.stringify(plan).includes("bad:sync"));
  assert.deepEqual(readdirSync(one.path(".imgtask")).filter((name) => name.startsWith("audit")), []);
});

test("a target that is named, and needed by another that is named, runs once", { skip }, async (t) => {
  const one = project(t, `ok("reads", ({ inputs }) => fs.readFileSync(inputs.made), { inputs: { a, made } });`);
  const finished = await one.imgtask("run", "--audit", "--json", "ok:made", "ok:reads");
  assert.equal(finished.code, 0, finished.stdout + finished.stderr);
  assert.deepEqual(events(finished).filter(({ type }) => type === "target audited").map(({ target }) => target), ["ok:made", "ok:reads"]);
});

test("what is declared and not used is a warning", { skip }, async (t) => {
  const one = project(t, `ok("unused", () => {}, { inputs: { a, dir, all: source.glob("conf/*.txt"), made }, env: ["DECLARED"], tools: [ldconfig] });`);
  const finished = await one.imgtask("run", "--audit", "--json", "ok:unused");
  assert.equal(finished.code, 0, finished.stdout + finished.stderr);
  const { undeclared, unused } = events(finished).find(({ type, target }) => type === "target audited" && target === "ok:unused")!;
  assert.deepEqual(undeclared, []);
  assert.deepEqual(unused.map(({ type, what }) => `${type} ${what}`).sort(), ["environment DECLARED", "input data", "input ok:made#out", "tool ldconfig"]);
  const words = await one.imgtask("run", "--audit", "ok:unused");
  assert.match(words.stderr, /\[ok:unused\] warning IMG6040: declares input data and does not use it/);
});

test("an audit that could not observe everything fails, and records nothing", { skip, timeout: 120_000 }, async (t) => {
  const cases: readonly (readonly [name: string, code: string])[] = [
    ["tracer-killed", "() => { process.kill(Number(/TracerPid:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]), 'SIGKILL'); }"],
    ["tracer-killed-by-command", "({ $ }) => $`kill -9 $(sed -n 's/TracerPid:[^0-9]*//p' /proc/self/status)`"],
    ["trace-cut", "() => { for (const fd of fs.readdirSync('/proc/self/fd')) { try { if (/audit-.*deleted/.test(fs.readlinkSync('/proc/self/fd/' + fd))) fs.truncateSync('/proc/self/fd/' + fd, 0); } catch {} } }"],
    ["trace-forged", "() => { for (const fd of fs.readdirSync('/proc/self/fd')) { try { if (/audit-.*deleted/.test(fs.readlinkSync('/proc/self/fd/' + fd))) fs.appendFileSync('/proc/self/fd/' + fd, 'what is this'); } catch {} } }"],
    ...(root ? ([["other-namespace", "({ exec }) => exec(['nsenter', '--mount=/proc/self/ns/mnt', 'true'])"], ["other-root", "({ exec }) => exec(['unshare', '--mount', 'sh', '-c', 'mkdir r && mount -t tmpfs t r && mkdir r/o && pivot_root r r/o'])"]] as const) : []),
  ];
  let closed = 0;
  for (const [name, code] of cases) {
    const one = project(t, `ok("${name}", ${code});`);
    const finished = await one.imgtask("run", "--audit", "--json", `ok:${name}`);
    const failure = finished.stdout === "" ? undefined : events(finished).find(({ type }) => type === "target failed");
    assert.equal(finished.code, 1, `${name}: ${finished.stdout}${finished.stderr}`);
    assert.equal(failure?.error?.code, "IMG3041", `${name}: ${finished.stdout}${finished.stderr}`);
    assert.equal(events(finished).some(({ type }) => type === "target done"), false);
    closed++;
  }
  t.diagnostic(`ways to hide from the tracer: ${cases.length}, refused: ${closed}`);
});

test("without strace, or the right to trace, the audit is a missing prerequisite", { skip: skip || !root }, async (t) => {
  const one = project(t, `ok("nothing", () => {});`);
  const hidden = await one.start(["run", "--audit", "ok:nothing"], { prefix: ["unshare", "--mount", "sh", "-c", `mount --bind /dev/null ${which("strace")!} && exec "$@"`, "sh"] }).finished;
  assert.equal(hidden.code, 4, hidden.stderr);
  assert.match(hidden.stderr, /IMG1006/);
  // A process that is traced already cannot be traced once more.
  const traced = await one.start(["run", "--audit", "ok:nothing"], { prefix: ["strace", "-f", "-qq", "-e", "trace=none", "-o", "/dev/null"] }).finished;
  assert.equal(traced.code, 4, traced.stderr);
  assert.match(traced.stderr, /IMG1006/);
  // Nor does it help to pretend.
  const pretended = await one.start(["run", "--audit", "ok:nothing"], { env: { IMGTASK_AUDIT_TRACE: "/dev/null:x:/" } }).finished;
  assert.equal(pretended.code, 1);
  assert.match(pretended.stderr, /IMG3041/);
  rmSync(one.path(".imgtask"), { recursive: true, force: true });
});

test("an audited run that is interrupted ends as any other", { skip }, async (t) => {
  const one = project(t, `ok("long", ({ exec }) => exec(["sleep", "60"]), { tools: [...tools, tool("sleep", { packages: { apt: "coreutils" } })] });`);
  const { child, finished } = one.start(["run", "--audit", "--json", "ok:long"]);
  await new Promise<void>((resolve) => child.stdout!.on("data", (chunk: Buffer) => String(chunk).includes("target started") && resolve()));
  child.kill("SIGTERM");
  assert.equal((await finished).code, 143);
});
