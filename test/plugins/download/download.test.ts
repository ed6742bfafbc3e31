/**
 * `download` from whole archives on a loopback server and on disk, and `verify` behind it.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ImgtaskError } from "../../../lib/mod.ts";
import { debian } from "../../../distros/debian.ts";
import { download } from "../../../plugins/download/download.ts";
import { findMirror } from "../../../plugins/download/mirror.ts";
import { verify } from "../../../plugins/verify/verify.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";
import { type Keys, makeArchive, makeDeb, makeKeys, media, stanza } from "../verify/archive.ts";
import { cut, ranged, serve, type TestServer } from "./server.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-download-test-"));
const pool = "pool/main/i/installer-netboot_1.0_all.deb";
let keys: Keys, key: string, deb: Buffer;
let count = 0;
const savedTmp = process.env["TMPDIR"];

before(() => {
  keys = makeKeys(base);
  key = keys.make("Archive");
  deb = makeDeb(base);
});
after(() => {
  keys.dispose();
  if (savedTmp === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = savedTmp;
  rmSync(base, { recursive: true, force: true });
});

const sign = (text: string): string => keys.clearsign(text, [key]);

interface Outcome {
  readonly run?: RecipeRun;
  readonly error?: ImgtaskError;
  readonly left: readonly string[];
}

async function bring(mirror: string, env: Record<string, string> = {}): Promise<Outcome> {
  const name = `d${count++}`, temporary = join(base, `tmp-${name}`);
  mkdirSync(temporary);
  download(name, media);
  process.env["TMPDIR"] = temporary;
  const complain = console.error;
  console.error = () => {};
  const left = (): string[] => readdirSync(temporary).flatMap((one) => readdirSync(join(temporary, one, "out")));
  try {
    const run = await runRecipe(`download:${name}`, {}, { env: { IMGTASK_TEST_MIRROR: mirror, http_proxy: "", https_proxy: "", ...env } });
    return { run, left: left() };
  } catch (error) {
    assert.ok(error instanceof ImgtaskError, String((error as Error).stack));
    return { error, left: left() };
  } finally {
    console.error = complain;
  }
}

async function withServer(files: Map<string, Buffer>, use: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await serve(files);
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

async function good(mirror: string, env: Record<string, string> = {}): Promise<string> {
  const { run, error } = await bring(mirror, env);
  assert.equal(error, undefined);
  const out = run!.outputs["out"]!;
  assert.ok(readFileSync(join(out, "package.deb")).equals(deb));
  return out;
}

async function refused(code: string, exitCode: number, pattern: RegExp, mirror: string): Promise<ImgtaskError> {
  const { error, left } = await bring(mirror);
  assert.ok(error !== undefined, "it was accepted");
  assert.equal(error.code, code, `${error.message}; found ${error.found}`);
  assert.equal(error.exitCode, exitCode);
  assert.match(error.message, pattern);
  assert.deepEqual(left, [], "nothing is left in the output");
  return error;
}

describe("download", () => {
  it("brings what verify accepts", () => withServer(makeArchive(deb, sign), async (server) => {
    const out = await good(server.url);
    assert.deepEqual(readdirSync(out).sort(), ["InRelease", "Packages.xz", "package.deb"]);
    for (const file of readdirSync(out)) {
      assert.equal(statSync(join(out, file)).mtimeMs, 1_700_000_000_000);
      assert.equal(statSync(join(out, file)).mode & 0o777, 0o644);
    }
    verify("chain", { media: download("chain", media), trust: { files: [keys.keyring([key])], keys: [{ fingerprint: key }] } });
    const verified = await runRecipe("verify:chain", { "inputs.media": out });
    assert.deepEqual(readdirSync(verified.outputs["out"]!).sort(), ["initrd.gz", "linux", "media.json"]);
  }));
  it("asks for the index by its hash", () => withServer(makeArchive(deb, sign, { byHash: true }), async (server) => {
    await good(server.url);
    assert.match(server.seen[1]!.path, /^dists\/wheel\/main\/binary-amd64\/by-hash\/SHA256\/[0-9a-f]{64}$/);
    assert.equal(server.seen.length, 3);
  }));
  it("does without by-hash where a mirror leaves it out", () => {
    const files = makeArchive(deb, sign, { byHash: true });
    for (const path of files.keys()) if (path.includes("by-hash")) files.delete(path);
    return withServer(files, async (server) => void (await good(server.url)));
  });
  it("takes Packages.gz where there is no better form", () => withServer(makeArchive(deb, sign, { forms: ["Packages.gz"] }), async (server) => {
    assert.ok(readdirSync(await good(server.url)).includes("Packages.gz"));
  }));
  it("takes Packages where there is no other form", () => withServer(makeArchive(deb, sign, { forms: [] }), async (server) => {
    const out = await good(server.url);
    verify("plain", { media: download("plain", media), trust: { files: [keys.keyring([key])], keys: [{ fingerprint: key }] } });
    await runRecipe("verify:plain", { "inputs.media": out });
  }));
  it("resumes the package after a cut", () => withServer(makeArchive(deb, sign), async (server) => {
    server.behaviours.set(pool, (request, response, bytes) => (request.headers.range === undefined ? cut(response, bytes, 0, 100_000) : ranged(request, response, bytes)));
    await good(server.url);
    assert.equal(server.seen.at(-1)!.range, "bytes=100000-");
  }));
  it("reads a mirror on disk", async () => {
    const mirror = join(base, "mirror");
    for (const [path, bytes] of makeArchive(deb, sign)) {
      mkdirSync(dirname(join(mirror, path)), { recursive: true });
      writeFileSync(join(mirror, path), bytes);
    }
    await good(`file://${mirror}/`);
  });
  it("does not log credentials", () => withServer(makeArchive(deb, sign), async (server) => {
    const { run } = await bring(server.url.replace("//", "//user:s3cret@"));
    assert.match(run!.log(), /mirror: http:\/\/127/);
    assert.ok(!run!.log().includes("s3cret"));
  }));
});

describe("download refuses", () => {
  it("a mirror that nobody reaches", async () => {
    const error = await refused("IMG5001", 75, /cannot be reached/, "http://127.0.0.1:9/debian");
    assert.match(`${error.message} ${error.hint}`, /127\.0\.0\.1:9.*IMGTASK_TEST_MIRROR=/);
  });
  it("a mirror that is no URL", () => refused("IMG2105", 2, /Bad mirror in IMGTASK_TEST_MIRROR/, "127.0.0.1/debian").then(() => {}));
  it("a mirror without the suite", () => withServer(new Map(), async (server) => void (await refused("IMG5004", 1, /dists\/wheel\/InRelease is not there/, server.url))));
  it("a login page in the place of InRelease", () => withServer(makeArchive(deb, sign), async (server) => {
    server.files.set("dists/wheel/InRelease", Buffer.from("<html><body>Welcome to our hotel</body></html>"));
    await refused("IMG5003", 1, /something else/, server.url);
  }));
  it("a login page in the place of the package", () => withServer(makeArchive(deb, sign), async (server) => {
    server.behaviours.set(pool, (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<html>"));
    await refused("IMG5003", 1, /something else/, server.url);
  }));
  it("an InRelease without an end", () => withServer(makeArchive(deb, sign), async (server) => {
    server.behaviours.set("dists/wheel/InRelease", (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 10)));
        if (!response.destroyed) response.once("drain", more);
      };
      response.writeHead(200);
      more();
    });
    await refused("IMG5005", 1, /longer than it may be/, server.url);
  }));
  it("a changed index", () => withServer(makeArchive(deb, sign), async (server) => {
    const path = "dists/wheel/main/binary-amd64/Packages.xz", bytes = Buffer.from(server.files.get(path)!);
    bytes[30]! ^= 1;
    server.files.set(path, bytes);
    await refused("IMG4020", 3, /tampered/, server.url);
  }));
  it("a changed package", () => withServer(makeArchive(deb, sign), async (server) => {
    const bytes = Buffer.from(deb);
    bytes[5000]! ^= 1;
    server.files.set(pool, bytes);
    await refused("IMG4020", 3, /tampered/, server.url);
  }));
  it("a truncated package", () => withServer(makeArchive(deb, sign), async (server) => {
    server.files.set(pool, deb.subarray(0, 1000));
    await refused("IMG5002", 1, /truncated/, server.url);
  }));
  it("an index without the package", () => withServer(makeArchive(deb, sign, { packages: "Package: other\nVersion: 1\n" }), async (server) => {
    const error = await refused("IMG5008", 1, /"installer-netboot" is not in "wheel"/, server.url);
    assert.match(error.expected!, /amd64/);
  }));
  it("an archive without the architecture", () => withServer(makeArchive(deb, (text) => sign(text.replaceAll("binary-amd64", "binary-arm64"))), async (server) => {
    const error = await refused("IMG5008", 1, /main\/amd64/, server.url);
    assert.match(error.hint!, /IMGTASK_TEST_MIRROR/);
  }));
  it("an index that leads out of the mirror", () => withServer(makeArchive(deb, sign, { packages: stanza(deb, { Filename: "../../secret" }) }), async (server) => {
    await refused("IMG4021", 3, /bad file name/, server.url);
    assert.ok(!server.seen.some((one) => one.path.includes("secret")));
  }));
  it("an index that is a bomb", () => withServer(makeArchive(deb, (text) => sign(text.replace(/ \d+ (main\/binary-amd64\/Packages)$/m, " 5 $1"))), async (server) => {
    await refused("IMG4020", 3, /does not unpack/, server.url);
  }));
});

describe("the mirror", () => {
  const context = (env: Record<string, string> = {}, lists?: string): Parameters<typeof findMirror>[1] => ({
    env,
    log: () => {},
    exec: (argv) => {
      const args = lists === undefined ? argv.slice(1) : ["-o", `Dir::State::Lists=${lists}`, ...argv.slice(1)];
      return Promise.resolve({ code: 0, stdout: execFileSync(argv[0], args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }) });
    },
  });
  it("is the one of the environment first", async () => {
    assert.equal(await findMirror(debian.archive, context({ IMGTASK_DEBIAN_MIRROR: "https://mirror.example.org/debian/" })), "https://mirror.example.org/debian");
  });
  it("is else the host's own, told from the security archive by its label", async (test) => {
    let uris: string;
    try {
      uris = execFileSync("apt-get", ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Origin: Debian"], { encoding: "utf8" });
    } catch {
      return test.skip("no apt here");
    }
    if (!uris.includes("Debian ")) return test.skip("this host's apt knows no Debian archive");
    const found = await findMirror(debian.archive, context());
    const listed = uris.split("\n").map((line) => line.replace(/\/+$/, ""));
    assert.ok(listed.includes(`Debian ${found}`), `${found} in ${uris}`);
    if (!uris.includes("Debian-Security ")) return;
    const security = await findMirror({ ...debian.archive, label: "Debian-Security" }, context());
    assert.ok(listed.includes(`Debian-Security ${security}`), `${security} in ${uris}`);
  });
  it("is else the default", async () => {
    assert.equal(await findMirror({ ...debian.archive, origin: "Nobody" }, context()), debian.archive.defaultMirror);
    const none: Parameters<typeof findMirror>[1] = { ...context(), exec: () => Promise.reject(new ImgtaskError("IMG3001", "not found")) };
    assert.equal(await findMirror(debian.archive, none), debian.archive.defaultMirror);
  });
});
