/**
 * Credentials: which there may be, whom they are sent to, and whom never.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { rhel } from "../../../distros/rhel.ts";
import { type ImageMedia, type ImgtaskError, secret } from "../../../lib/mod.ts";
import { registry } from "../../../lib/target.ts";
import { type Credentials, credentialParts, loginFor, loginsOf } from "../../../plugins/download/credentials.ts";
import { download, type DownloadOptions } from "../../../plugins/download/download.ts";
import { type Habits, type RangeServer, rangeServer } from "../../rig/range-server.ts";
import { runRecipe } from "../../rig/recipe.ts";
import { vendorServer } from "../../rig/vendor-server.ts";
import { noise, sha256 } from "../verify/archive.ts";

const token = secret.env("MIRROR_TOKEN"), value = "t0ken-Canary-1234";
const bearer = (origin: string): Credentials => ({ origin, type: "bearer", token });
const image = noise(300_000), name = "vendor-1.2-install.iso";
const open: { close(): unknown }[] = [];
after(() => Promise.all(open.map((one) => one.close())));

async function server(habits: Habits = {}): Promise<RangeServer> {
  const one = await rangeServer({ SUMS: Buffer.from(`${sha256(image)}  ${name}\n`), [name]: image }, habits);
  open.push(one);
  return one;
}

/** Answers 401 to who does not log in. */
const guarded: Habits = { instead: (request, response) => request.headers.authorization === `Bearer ${value}` ? false : (response.writeHead(401).end(), true) };
const elsewhere = (response: ServerResponse, location: string): boolean => (response.writeHead(302, { location }).end(), true);

function media(mirror: string): ImageMedia {
  const list = { file: "SUMS", form: "gnu", algorithm: "sha256", signature: { kind: "none" } } as const;
  return {
    kind: "iso", id: "vendor-1", distro: "vendor", release: "1", arch: "x86_64", answers: "preseed", edition: "install", layout: "debian-cd", image: { name: "vendor-{version}-install.iso" },
    source: { kind: "mirror", env: "IMGTASK_TEST_MIRROR", mirrors: [mirror], directory: ".", list }, keys: { keys: [] }, sha256: sha256(image),
  };
}

let count = 0;

async function bring(of: ImageMedia, options: DownloadOptions, env: Record<string, string> = {}, secrets: Record<string, string> = { credentials0: value }): Promise<{ readonly log: string; readonly error?: ImgtaskError }> {
  const target = `credentials${count++}`;
  download(target, of, options);
  try {
    const run = await runRecipe(`download:${target}`, {}, { env: { http_proxy: "", https_proxy: "", no_proxy: "", ...env }, secrets });
    const log = `${run.log()}${readdirSync(run.outputs["out"]!).map((file) => readFileSync(join(run.outputs["out"]!, file), "latin1")).join()}`;
    assert.ok(readFileSync(join(run.outputs["out"]!, "image.iso")).equals(image));
    run.dispose();
    return { log };
  } catch (error) {
    if ((error as ImgtaskError).code === undefined) throw error;
    return { log: JSON.stringify(error), error: error as ImgtaskError };
  }
}

describe("credentials", () => {
  it("are sent to their origin, with every request, and stand nowhere else", async () => {
    const mirror = await server(guarded);
    const { log, error } = await bring(media(mirror.url), { credentials: bearer(mirror.url) });
    assert.equal(error, undefined, log);
    assert.ok(mirror.asked.length >= 3 && mirror.asked.every(({ headers }) => headers.authorization === `Bearer ${value}`));
    assert.ok(!log.includes(value));
    const { declaration } = registry().targets.at(-1)!;
    assert.ok(!JSON.stringify(declaration).includes(value));
    assert.deepEqual(declaration.secrets, { credentials0: { from: "environment", name: "MIRROR_TOKEN" } });
  });
  for (const [what, credentials, header, sent] of [
    ["a user and a password", { type: "basic", user: "büilder", password: token }, "authorization", `Basic ${Buffer.from(`büilder:${value}`).toString("base64")}`],
    ["a header of the server's own", { type: "header", name: "X-JFrog-Art-Api", value: token }, "x-jfrog-art-api", value],
  ] as const) {
    it(`may be ${what}`, async () => {
      const mirror = await server();
      await bring(media(mirror.url), { credentials: { origin: mirror.url, ...credentials } });
      assert.ok(mirror.asked.length >= 2 && mirror.asked.every(({ headers }) => headers[header] === sent));
    });
  }
  it("are not sent to another host, or port, that a mirror redirects to; nor back", async () => {
    const other = await server(), mirror = await server({ instead: (request, response) => request.url === `/${name}` ? elsewhere(response, `${other.url}/${name}`) : false });
    const { error } = await bring(media(mirror.url), { credentials: bearer(mirror.url) });
    assert.equal(error, undefined);
    assert.ok(other.asked.length > 0 && other.asked.every(({ headers }) => headers.authorization === undefined));
    const back: RangeServer = await server({ instead: (request, response) => request.url === "/SUMS" ? elsewhere(response, `${away.url}/SUMS`) : false });
    const away: RangeServer = await server({ instead: (_, response) => elsewhere(response, `${back.url}/again`) });
    await bring(media(back.url), { credentials: bearer(back.url) });
    assert.deepEqual(back.asked.map(({ path, headers }) => [path, headers.authorization !== undefined]), [["SUMS", true], ["again", false]]);
  });
  it("go on to where a mirror redirects within itself", async () => {
    const mirror: RangeServer = await server({ instead: (request, response) => request.url === "/SUMS" ? elsewhere(response, "/moved/../SUMS?1") : request.headers.authorization === undefined ? (response.writeHead(401).end(), true) : false });
    assert.equal((await bring(media(mirror.url), { credentials: bearer(mirror.url) })).error, undefined);
  });
  it("are not sent to other mirrors", async () => {
    const own = await server({ instead: (request, response) => request.url === `/${name}` && (response.writeHead(404).end(), true) }), stranger = await server();
    const both = media(own.url);
    assert.ok(both.source.kind === "mirror");
    await bring({ ...both, source: { ...both.source, mirrors: [own.url, stranger.url] } }, { credentials: bearer(own.url) });
    assert.ok(stranger.asked.length > 0 && stranger.asked.every(({ headers }) => headers.authorization === undefined));
    const { error } = await bring(media(own.url), { credentials: bearer(own.url) }, { IMGTASK_TEST_MIRROR: stranger.url });
    assert.equal(error, undefined);
    assert.ok(stranger.asked.every(({ headers }) => headers.authorization === undefined), "the variable leads elsewhere");
  });
  it("that are wrong, or missing, are told from what is not there", async () => {
    const mirror = await server(guarded);
    const wrong = await bring(media(mirror.url), { credentials: bearer(mirror.url) }, {}, { credentials0: "wr0ng-Canary-1234" });
    assert.equal(wrong.error?.code, "IMG5014");
    assert.ok(!JSON.stringify({ ...wrong.error, message: wrong.error!.message }).includes("wr0ng"));
    const missing = await bring(media(mirror.url), {});
    assert.equal(missing.error?.code, "IMG5004");
    assert.match(missing.error!.hint!, /`credentials` for this server's origin/);
  });
  it("that hold a line break are refused before anything is asked", async () => {
    const mirror = await server();
    for (const bad of [`${value}\r\nX-Evil: 1`, "пароль-ключ", `${value} `]) {
      const { error } = await bring(media(mirror.url), { credentials: bearer(mirror.url) }, {}, { credentials0: bad });
      assert.equal(error?.code, "IMG5013", bad);
    }
    assert.equal(mirror.asked.length, 0);
  });
  it("go to a portal's relay beside its token, and not to where the portal says that the image is", async () => {
    const base = mkdtempSync(join(tmpdir(), "imgtask-relay-"));
    try {
      const iso = join(base, "rhel.iso");
      (await import("node:fs")).writeFileSync(iso, image);
      const portal = await vendorServer([{ vendor: "rhel", iso }]);
      open.push(portal);
      const seen: (string | undefined)[] = [], relayed: RangeServer = await rangeServer({}, {
        instead: (request, response) => {
          seen.push(request.headers["x-relay-key"] as string | undefined);
          const chunks: Buffer[] = [];
          request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", async () => {
            const answer = await fetch(`${portal.url}/rhel/portal${request.url}`.replace("/rhel/portal", new URL(portal.env["IMGTASK_RHEL_PORTAL"]!).pathname), {
              method: request.method!, headers: { authorization: request.headers.authorization ?? "", "content-type": request.headers["content-type"] ?? "" }, ...(request.method === "POST" ? { body: Buffer.concat(chunks) } : {}), redirect: "manual",
            });
            response.writeHead(answer.status, { location: answer.headers.get("location") ?? "" }).end(Buffer.from(await answer.arrayBuffer()));
          });
          return true;
        },
      });
      open.push(relayed);
      const of = rhel.installer({ release: "9", arch: "x86_64", sha256: sha256(image), from: { token: secret.env("RHSM_OFFLINE_TOKEN") } });
      const options = { credentials: { origin: relayed.url, type: "header", name: "X-Relay-Key", value: token } } as const;
      const { error } = await bring(of, options, { IMGTASK_RHEL_PORTAL: relayed.url }, { token: portal.token, credentials0: value });
      assert.equal(error, undefined, `${error?.message} ${error?.found}`);
      assert.deepEqual(seen, [value, value], "the exchange and the question");
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  });
});

describe("an imagefile's credentials are refused", () => {
  const bad: readonly (readonly [string, Credentials | readonly Credentials[]])[] = [
    ["for plain http", bearer("http://mirror.example.org")], ["with a path", bearer("https://mirror.example.org/debian")], ["with a user in the origin", bearer("https://u:p@mirror.example.org")],
    ["for no URL", bearer("mirror.example.org")], ["for a file", bearer("file:///srv")],
    ["with a colon in the user name", { origin: "https://h", type: "basic", user: "a:b", password: token }], ["with a line break in it", { origin: "https://h", type: "basic", user: "a\r\nb", password: token }],
    ["as a header of imgtask's own", { origin: "https://h", type: "header", name: "Range", value: token }], ["as no header", { origin: "https://h", type: "header", name: "a b", value: token }],
    ["twice for one server", [bearer("https://h"), bearer("https://h:443/")]],
  ];
  for (const [what, credentials] of bad) it(what, () => assert.throws(() => credentialParts(credentials), { code: "IMG2650", exitCode: 2 }));
  it("where the mirror is the same host without TLS", () => {
    const logins = loginsOf(credentialParts(bearer("https://mirror.example.org")).forms, { credentials0: value });
    assert.throws(() => loginFor(new URL("http://mirror.example.org/x"), logins, false), { code: "IMG5012" });
    assert.equal(loginFor(new URL("https://mirror.example.org:444/x"), logins, false), undefined);
    assert.equal(loginFor(new URL("https://sub.mirror.example.org/x"), logins, false), undefined);
    assert.equal(loginFor(new URL("https://mirror.example.org/x"), logins, true)?.value, `Bearer ${value}`);
  });
});
