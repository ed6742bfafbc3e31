/**
 * What keeps a project in good order over months: figures for Prometheus, notices of failures, logs that are kept,
 * removed and encrypted. With the real Prometheus, a real webhook and the real age.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { panels } from "../../lib/report/dashboard.ts";
import { preamble, TestProject } from "../rig/project.ts";

const imagefile = `${preamble}
import { secret } from "imgtask";
target("iso:good", { outputs: { out: "file" }, run: ({ outputs }) => writeFileSync(outputs.out, "x".repeat(1000)) });
target("disk:moody", { outputs: { out: "file" }, run: ({ outputs, log }) => {
  log("about to begin & <end>");
  log(\`saw \${fromOutside("IMGTASK_NOTIFY_WEBHOOK") ?? "no address"}\`);
  if (fromOutside("MOOD") === "bad") throw new Error("out of sorts");
  writeFileSync(outputs.out, "y".repeat(2000));
} });
target("t:quiet", { secrets: { token: secret.env("TOKEN") }, outputs: { out: "file" }, run: ({ secrets, log }) => { log(\`token \${secrets.token}\`); throw new Error(\`with \${secrets.token}\`); } });
target("t:sensitive", { sensitive: true, outputs: { out: "file" }, run: ({ outputs, log }) => {
  log("for some eyes only");
  if (fromOutside("MOOD") === "bad") throw new Error("out of sorts");
  writeFileSync(outputs.out, "z");
} });
`;

interface Received {
  readonly path: string;
  readonly body: string;
}

/** A webhook that keeps what it gets. */
async function webhook(status = 200): Promise<{ readonly address: string; readonly received: Received[]; readonly close: () => void }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      received.push({ path: request.url!, body });
      response.writeHead(status).end("ok");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, close: () => server.close() };
}

function samples(text: string): Readonly<Record<string, number>> {
  return Object.fromEntries(text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

const run = (project: TestProject, argv: readonly string[], env: Readonly<Record<string, string>> = {}) => project.start(argv, { env }).finished;

describe("figures", () => {
  const project = new TestProject({ "imagefile.ts": imagefile });
  after(() => project.eject());

  test("count what ran, how it ended and how large it is; a torn line costs itself alone", async () => {
    assert.equal((await project.imgtask("metrics")).stdout.includes("{"), false);
    assert.equal((await run(project, ["run", "-k", "iso:good", "disk:moody"], { MOOD: "bad" })).code, 1);
    appendFileSync(project.path(".imgtask/history"), `{"time":1,"target":"torn`);
    const file = project.path("imgtask.prom");
    assert.equal((await run(project, ["run", "disk:moody"], { IMGTASK_METRICS: "imgtask.prom" })).code, 0);
    assert.equal((await run(project, ["run", "-f", "disk:moody"], { IMGTASK_METRICS: "imgtask.prom" })).code, 0);
    const { stdout } = await project.imgtask("metrics");
    assert.equal(stdout, readFileSync(file, "utf8"));
    const found = samples(stdout);
    const of = (name: string, labels: string): number | undefined => found[`${name}{project="project",${labels}}`];
    assert.equal(of("imgtask_target_runs_total", `target="disk:moody",outcome="done"`), 2);
    assert.equal(of("imgtask_target_runs_total", `target="disk:moody",outcome="failed"`), 1);
    assert.equal(of("imgtask_target_runs_total", `target="iso:good",outcome="done"`), 1);
    assert.equal(of("imgtask_target_runs_total", `target="iso:good",outcome="failed"`), undefined);
    assert.equal(of("imgtask_target_output_bytes", `target="disk:moody"`), 2000);
    assert.ok(Math.abs(of("imgtask_target_last_success_timestamp_seconds", `target="disk:moody"`)! - Date.now() / 1000) < 600);
    execFileSync("promtool", ["check", "metrics"], { input: stdout, stdio: ["pipe", "ignore", "inherit"] });
  });

  test("a file that cannot be written is a warning", async () => {
    const { code, stderr } = await run(project, ["run", "-f", "iso:good"], { IMGTASK_METRICS: "no/such/place.prom" });
    assert.equal(code, 0);
    assert.match(stderr, /IMG6006/);
    assert.deepEqual(readdirSync(project.directory).filter((name) => name.endsWith(".new")), []);
  });

  test("Prometheus takes them, and every panel of the dashboard shows something", async (context) => {
    const place = mkdtempSync(join(tmpdir(), "imgtask-prometheus-"));
    const { stdout } = await project.imgtask("metrics");
    const server = createServer((_, response) => void response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(stdout));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    writeFileSync(join(place, "prometheus.yml"), JSON.stringify({
      global: { scrape_interval: "1s" },
      scrape_configs: [{ job_name: "imgtask", static_configs: [{ targets: [`127.0.0.1:${(server.address() as AddressInfo).port}`] }] }],
    }));
    const prometheus = spawn("prometheus", [`--config.file=${place}/prometheus.yml`, `--storage.tsdb.path=${place}/data`, `--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
    try {
      const ask = async (expr: string): Promise<readonly { readonly value: readonly [number, string] }[]> => {
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`);
        const { status, data } = await answer.json() as { status: string; data: { result: { value: [number, string] }[] } };
        assert.equal(status, "success", expr);
        return data.result;
      };
      for (let tries = 0; ; tries++) {
        if ((await ask("imgtask_target_runs_total").catch(() => [])).length > 0) break;
        assert.ok(tries < 120, "Prometheus has no samples");
        await sleep(500);
      }
      const { panels: shown } = JSON.parse((await project.imgtask("metrics", "--dashboard")).stdout) as { panels: { title: string; targets: { expr: string }[] }[] };
      assert.deepEqual(shown.map(({ title }) => title), panels.map(({ title }) => title));
      const values = new Map<string, readonly string[]>();
      for (const { title, targets } of shown) {
        const result = await ask(targets[0]!.expr.replaceAll("$project", ".*").replaceAll("$target", ".*"));
        assert.ok(result.length > 0, `"${title}" shows nothing`);
        values.set(title, result.map(({ value }) => value[1]));
      }
      assert.deepEqual(values.get("Successful runs"), ["0.8"], "4 of 5 runs were good");
      assert.deepEqual(values.get("Failed runs"), ["1"]);
      context.diagnostic(`${shown.length} panels asked of a real Prometheus, ${[...values.values()].flat().length} values`);
    } finally {
      prometheus.kill();
      server.close();
      await new Promise((resolve) => prometheus.once("exit", resolve));
      rmSync(place, { recursive: true, force: true });
    }
  });
});

describe("notices", () => {
  const project = new TestProject({ "imagefile.ts": imagefile });
  after(() => project.eject());

  test("tell a webhook and Slack what failed and the last lines of its log, and nobody the addresses", async () => {
    const hook = await webhook();
    try {
      const env = { MOOD: "bad", IMGTASK_NOTIFY_WEBHOOK: `${hook.address}/hook-with-a-token`, IMGTASK_NOTIFY_SLACK: `${hook.address}/slack-with-a-token`, GITHUB_SERVER_URL: "https://github.example", GITHUB_REPOSITORY: "a/b", GITHUB_RUN_ID: "7" };
      const failed = await run(project, ["run", "disk:moody"], env);
      assert.equal(failed.code, 1);
      assert.doesNotMatch(failed.stderr, /with-a-token|IMG6007/);
      const [plain, slack] = ["/hook-with-a-token", "/slack-with-a-token"].map((path) => hook.received.find((one) => one.path === path)?.body);
      const notice = JSON.parse(plain!) as { project: string; url: string; failures: { target: string; error: { code: string; message: string }; log: string[] }[] };
      assert.equal(notice.project, "project");
      assert.equal(notice.url, "https://github.example/a/b/actions/runs/7");
      assert.deepEqual(notice.failures.map(({ target }) => target), ["disk:moody"]);
      assert.match(notice.failures[0]!.error.message, /out of sorts/);
      assert.ok(notice.failures[0]!.log.includes("about to begin & <end>"));
      assert.ok(notice.failures[0]!.log.includes("saw no address"), "a recipe does not see the address");
      const message = JSON.parse(slack!) as { text: string; blocks: { text: { text: string } }[] };
      assert.equal(message.text, "imgtask: disk:moody failed in project");
      assert.ok(message.blocks.some(({ text }) => text.text.includes("about to begin &amp; &lt;end&gt;")));
      assert.ok(message.blocks.every(({ text }) => text.text.length <= 3000));
    } finally {
      hook.close();
    }
  });

  test("have no secret, in whatever form, and are not sent when all is well", async () => {
    const hook = await webhook();
    try {
      const env = { IMGTASK_NOTIFY_WEBHOOK: hook.address, IMGTASK_NOTIFY_SLACK: hook.address, TOKEN: `canary-"4711"-canary` };
      assert.equal((await run(project, ["run", "t:quiet"], env)).code, 1);
      assert.equal(hook.received.length, 2);
      for (const { body } of hook.received) {
        assert.doesNotMatch(body, /canary|4711/);
        assert.match(body, /\*\*\*/);
      }
      assert.equal((await run(project, ["run", "iso:good"], env)).code, 0);
      assert.equal(hook.received.length, 2);
    } finally {
      hook.close();
    }
  });

  test("that cannot be sent are a warning without the address; an address that is none is refused", async () => {
    const hook = await webhook(500);
    const refused = await run(project, ["run", "disk:moody"], { MOOD: "bad", IMGTASK_NOTIFY_WEBHOOK: `${hook.address}/with-a-token` });
    hook.close();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /IMG6007[^]*the answer was 500/);
    const gone = await run(project, ["run", "disk:moody"], { MOOD: "bad", IMGTASK_NOTIFY_SLACK: `${hook.address}/with-a-token` });
    assert.match(gone.stderr, /IMG6007[^]*ECONNREFUSED/);
    const bad = await run(project, ["run", "disk:moody"], { IMGTASK_NOTIFY_SLACK: "file:///etc/with-a-token" });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /IMG2037/);
    for (const { stderr } of [refused, gone, bad]) assert.doesNotMatch(stderr, /with-a-token/);
  });
});

describe("logs", () => {
  const project = new TestProject({ "imagefile.ts": imagefile });
  const keys = mkdtempSync(join(tmpdir(), "imgtask-age-"));
  after(() => {
    project.eject();
    rmSync(keys, { recursive: true, force: true });
  });
  const logs = (target: string): readonly string[] => readdirSync(project.path(".imgtask/logs", target)).filter((name) => name !== "latest.log").sort();
  const plant = (target: string, days: number): string => {
    const name = `${new Date(Date.now() - days * 24 * 3600e3).toISOString().replaceAll(/[-:]/g, "").replace("T", "-").replace("Z", "")}.log`;
    mkdirSync(project.path(".imgtask/logs", target), { recursive: true });
    writeFileSync(project.path(".imgtask/logs", target, name), "old\n");
    return name;
  };

  test("are kept for 90 days, and for less when they are cleaned", async () => {
    const [ancient, old, recent, gone] = [plant("iso:good", 91), plant("iso:good", 89), plant("iso:good", 1), plant("t:removed", 30)];
    assert.equal((await project.imgtask("run", "iso:good")).code, 0);
    assert.deepEqual(logs("iso:good").length, 3);
    assert.equal(logs("iso:good").includes(ancient), false);
    const cleaned = await project.imgtask("clean", "--older-than", "7d", "--json");
    assert.equal(cleaned.code, 0);
    assert.deepEqual((JSON.parse(cleaned.stdout) as { removed: string[] }).removed.filter((path) => path.includes("logs")).sort(), [`.imgtask/logs/iso:good/${old}`, `.imgtask/logs/t:removed/${gone}`]);
    assert.equal(existsSync(project.path(".imgtask/logs/t:removed")), false);
    assert.ok(logs("iso:good").includes(recent));
    assert.ok(existsSync(project.path(".imgtask/logs/iso:good/latest.log")));
    assert.equal((await project.imgtask("clean", "--older-than", "0h")).code, 0);
    assert.equal(existsSync(project.path(".imgtask/logs/iso:good")), false);
    for (const bad of ["7", "d", "-1d", "1y"]) assert.equal((await project.imgtask("clean", `--older-than=${bad}`)).code, 2, bad);
  });

  test("that are sensitive are never shown, and encrypted for those who may read them", async () => {
    const refused = await project.imgtask("run", "t:sensitive");
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /IMG1008/);
    execFileSync("age-keygen", ["-o", join(keys, "one")], { stdio: "ignore" });
    execFileSync("age-keygen", ["-o", join(keys, "two")], { stdio: "ignore" });
    const recipients = ["one", "two"].map((name) => /public key: (age1\S+)/.exec(readFileSync(join(keys, name), "utf8"))![1]!);
    writeFileSync(join(keys, "recipients"), `# who may read\n${recipients.join("\n")}\n`);
    // A killed run may have left one.
    const left = plant("t:sensitive", 2);
    const failed = await run(project, ["run", "t:sensitive"], { MOOD: "bad", IMGTASK_LOG_RECIPIENTS: recipients.join(","), GITHUB_ACTIONS: "true" });
    assert.equal(failed.code, 1);
    const done = await run(project, ["run", "-v", "t:sensitive"], { IMGTASK_LOG_RECIPIENTS: join(keys, "recipients") });
    assert.equal(done.code, 0);
    for (const { stdout, stderr } of [failed, done]) assert.doesNotMatch(stdout + stderr, /some eyes/);
    assert.equal(logs("t:sensitive").length, 3);
    assert.ok(logs("t:sensitive").every((name) => name.endsWith(".log.age")), logs("t:sensitive").join());
    assert.ok(logs("t:sensitive").includes(`${left}.age`));
    for (const name of ["one", "two"]) {
      const text = execFileSync("age", ["-d", "-i", join(keys, name), project.path(".imgtask/logs/t:sensitive/latest.log")], { encoding: "utf8" });
      assert.match(text, /^for some eyes only$/m);
    }
    assert.equal(readdirSync(project.path(".imgtask/logs"), { recursive: true, encoding: "utf8" }).some((name) => name.endsWith(".log") && !name.endsWith("latest.log") && readFileSync(project.path(".imgtask/logs", name), "utf8").includes("some eyes")), false);
  });
});
