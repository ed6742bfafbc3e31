/**
 * `imgtask ci`: what it writes is read without complaint by GitHub's own parser and by a GitLab runner, and its steps
 * build the targets. What neither can be asked here: whether GitHub and GitLab themselves run it.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } from "@actions/workflow-parser";
import { parse } from "yaml";
import { binary, preamble, repository, TestProject } from "../rig/project.ts";

const imagefile = `${preamble}
import { secret } from "imgtask";
const make = (name: \`\${string}:\${string}\`, more: { secrets?: Record<string, import("imgtask").Secret> } = {}) =>
  target(name, { ...more, outputs: { out: output("file", "text", { path: \`artifacts/\${name.replace(":", "/")}.txt\` }) }, run: ({ outputs, target }) => { noteRun(target); writeFileSync(outputs.out, "made"); } });
const one = make("iso:one"), two = make("disk:two+x", { secrets: { token: secret.env("UPLOAD_TOKEN") } });
make("other:three");
export default group("all", [one, two]);
`;

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly on: { readonly schedule: readonly { readonly cron: string }[]; readonly workflow_dispatch: object };
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: { readonly image: { readonly strategy: { readonly matrix: { readonly include: readonly { readonly target: string; readonly name: string }[] } }; readonly env: Readonly<Record<string, string>>; readonly steps: readonly Step[] } };
}

function project(directory = "."): TestProject {
  const made = new TestProject();
  const git = (...argv: readonly string[]): void => void execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...argv], { cwd: made.directory, stdio: "ignore" });
  git("init", "-q", "-b", "main");
  made.write(join(directory, "imagefile.ts"), imagefile);
  if (directory !== ".") symlinkSync(made.path("node_modules"), made.path(directory, "node_modules"));
  mkdirSync(made.path("node_modules/.bin"), { recursive: true });
  writeFileSync(made.path("node_modules/.bin/imgtask"), `#!/bin/sh\nexec '${process.execPath}' '${binary}' "$@"\n`, { mode: 0o755 });
  return made;
}

async function errorsOf(text: string): Promise<readonly string[]> {
  const result = parseWorkflow({ name: "imgtask.yml", content: text }, new NoOperationTraceWriter());
  const template = result.value === undefined ? undefined : await convertWorkflowTemplate(result.context, result.value);
  return [...result.context.errors.getErrors().map(({ message }) => message), ...(template?.errors ?? []).map(({ Message }) => Message)];
}

describe("on GitHub", () => {
  const one = project();
  after(() => one.eject());

  test("the workflow is what GitHub's parser expects, with actions by commit and no expression in a script", async () => {
    const { code, stderr } = await one.imgtask("ci", "github");
    assert.equal(code, 0, stderr);
    const text = one.read(".github/workflows/imgtask.yml");
    assert.deepEqual(await errorsOf(text), []);
    assert.notDeepEqual(await errorsOf(text.replace("runs-on:", "run-on:")), [], "the parser sees mistakes");
    const { on, permissions, jobs: { image } } = parse(text) as Workflow;
    assert.deepEqual(on, { workflow_dispatch: {}, schedule: [{ cron: "17 3 * * 1" }] });
    assert.deepEqual(permissions, { contents: "read" });
    assert.deepEqual(image.strategy.matrix.include, [{ target: "iso:one", name: "iso-one" }, { target: "disk:two+x", name: "disk-two-x" }]);
    assert.equal(image.env["UPLOAD_TOKEN"], "${{ secrets.UPLOAD_TOKEN }}");
    for (const { uses, run } of image.steps) {
      if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
      if (run !== undefined) assert.doesNotMatch(run, /\$\{\{/, "an expression in a script is code of whoever names a target");
    }
    for (const kept of ["artifacts/", "attestations/", "logs/"]) assert.match(String(image.steps.find(({ uses }) => uses?.includes("upload-artifact"))!.with!["path"]), new RegExp(`^${kept}$`, "m"));
  });

  test("its steps build the targets, and tell how it went", () => {
    const { jobs: { image } } = parse(one.read(".github/workflows/imgtask.yml")) as Workflow;
    const summary = one.path("summary.md");
    for (const { target } of image.strategy.matrix.include) {
      // Packages and the rights on /dev/kvm are this machine's affair.
      for (const { name, run } of image.steps.filter((step) => ["Tools", "Build", "Metrics"].includes(step.name ?? ""))) {
        const env = { ...process.env, CI: "true", GITHUB_ACTIONS: "true", GITHUB_STEP_SUMMARY: summary, TARGET: target, UPLOAD_TOKEN: "a-long-enough-token", RUNS: join(one.directory, "../runs") };
        const { status, stderr, stdout } = spawnSync("bash", ["-e", "-o", "pipefail", "-c", run!], { cwd: one.directory, env, encoding: "utf8" });
        assert.equal(status, 0, `${name}: ${stderr}${stdout}`);
      }
    }
    assert.deepEqual(one.ran(), ["disk:two+x", "iso:one"]);
    assert.equal(one.read("artifacts/disk/two+x.txt"), "made");
    assert.match(one.read("summary.md"), /iso:one/);
    assert.match(one.read("imgtask.prom"), /imgtask_target_runs_total\{[^}]*target="iso:one",outcome="done"\} 1/);
  });

  test("written again it follows the targets; what somebody edited it leaves alone", async () => {
    assert.match((await one.imgtask("ci", "github")).stderr, /up to date/);
    assert.equal((await one.imgtask("ci", "github", "other:*", "--schedule", "0 5 * * *")).code, 0);
    const text = one.read(".github/workflows/imgtask.yml");
    assert.deepEqual((parse(text) as Workflow).jobs.image.strategy.matrix.include.map(({ target }) => target), ["other:three"]);
    assert.deepEqual((parse(text) as Workflow).on.schedule, [{ cron: "0 5 * * *" }]);
    writeFileSync(one.path(".github/workflows/imgtask.yml"), text.replace("360", "30"));
    const refused = await one.imgtask("ci", "github");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /IMG2038/);
    assert.match(one.read(".github/workflows/imgtask.yml"), /timeout-minutes: 30/);
    assert.equal((await one.imgtask("ci", "github", "--force")).code, 0);
    assert.equal((await one.imgtask("ci", "jenkins")).code, 2);
  });
});

test("a project in a directory of the repository works there", async () => {
  using one = project("images");
  assert.equal((await one.imgtask("-C", "images", "ci", "github")).code, 0);
  const text = one.read(".github/workflows/imgtask.yml");
  assert.deepEqual(await errorsOf(text), []);
  assert.match(text, /working-directory: images\n/);
  assert.match(text, /^\s+images\/artifacts\/$/m);
});

describe("on GitLab", () => {
  const one = project();
  after(() => one.eject());

  test("a runner takes the pipeline: a job a target, its schema kept, its script builds", async () => {
    assert.equal((await one.imgtask("ci", "gitlab")).code, 0);
    one.write(".gitlab-ci.yml", "include:\n  - local: .gitlab/imgtask.yml\n");
    const git = (...argv: readonly string[]): void => void execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.org", ...argv], { cwd: one.directory, stdio: "ignore" });
    git("remote", "add", "origin", "git@gitlab.example.org:lab/images.git");
    git("add", "imagefile.ts", ".gitlab-ci.yml", ".gitlab", "package.json");
    git("commit", "-qm", "images");
    const run = (...argv: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } =>
      spawnSync(process.execPath, [join(repository, "node_modules/gitlab-ci-local/src/index.js"), "--variable", "CI_PIPELINE_SOURCE=web", ...argv], { cwd: one.directory, encoding: "utf8", env: { ...process.env, HOME: one.directory } });
    const listed = run("--list-json");
    assert.equal(listed.status, 0, listed.stderr + listed.stdout);
    const jobs = (JSON.parse(listed.stdout.slice(listed.stdout.search(/^\[\s*\{/m))) as { name: string; stage: string; when: string }[]).map(({ name, stage }) => `${stage} ${name}`);
    assert.deepEqual(jobs, ["build imgtask:image: [iso:one]", "build imgtask:image: [disk:two+x]"]);
    const broken = one.read(".gitlab/imgtask.yml");
    one.write(".gitlab/imgtask.yml", broken.replace("after_script:", "after_scripts:").replace("stage: build", "stage: [build]"));
    assert.notEqual(run("--list-json").status, 0, "its schema is looked at");
    one.write(".gitlab/imgtask.yml", broken);
    const { "imgtask:image": job } = parse(broken) as { "imgtask:image": { script: readonly string[]; image: string; artifacts: { reports: { junit: string } } } };
    assert.match(job.image, /@sha256:[0-9a-f]{64}$/);
    assert.equal(job.artifacts.reports.junit, "artifacts/test/*/junit.xml");
    const env = { ...process.env, CI: "true", TARGET: "iso:one", RUNS: join(one.directory, "../runs") };
    for (const line of job.script.filter((one) => one !== "npm ci")) assert.equal(spawnSync("sh", ["-ec", line], { cwd: one.directory, env, stdio: "ignore" }).status, 0, line);
    assert.deepEqual(one.ran(), ["iso:one"]);
    assert.equal(readFileSync(one.path("artifacts/iso/one.txt"), "utf8"), "made");
  });
});
