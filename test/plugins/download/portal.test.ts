/**
 * A customer portal gives the address of an image for a token, and the token goes nowhere else.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { rhel } from "../../../distros/rhel.ts";
import { type PortalSource, secret } from "../../../lib/mod.ts";
import { addressOnPortal } from "../../../plugins/download/portal.ts";
import { type VendorServer, vendorServer } from "../../rig/vendor-server.ts";

const base = mkdtempSync(join(tmpdir(), "imgtask-portal-"));
const iso = join(base, "rhel.iso");
writeFileSync(iso, "an image");
let server: VendorServer;
let logged = "";
const exchange = "portal/auth/realms/redhat-external/protocol/openid-connect/token";

before(async () => {
  server = await vendorServer([{ vendor: "rhel", iso }]);
});
after(async () => {
  await server.close();
  rmSync(base, { recursive: true, force: true });
});

const sha256 = (): string => server.digest(iso);

function ask(options: { readonly token?: string; readonly digest?: string; readonly env?: Readonly<Record<string, string>> } = {}): ReturnType<typeof addressOnPortal> {
  const media = rhel.installer({ release: "9", arch: "x86_64", sha256: sha256(), from: { token: secret.env("RHSM_OFFLINE_TOKEN") } });
  const context = { env: options.env ?? server.env, signal: new AbortController().signal, log: (line: string) => void (logged += `${line}\n`) };
  return addressOnPortal(media.source as PortalSource, options.digest ?? sha256(), options.token ?? server.token, context);
}

describe("a portal", () => {
  it("names the image and its address", async () => {
    const { url, name } = await ask();
    assert.equal(name, "rhel-9.6-x86_64-boot.iso");
    assert.match(url, /\/rhel\/cdn\/rhel-9\.6-x86_64-boot\.iso\?_auth_=/);
    assert.ok(!logged.includes(server.token) && !logged.includes("_auth_"), logged);
  });
  it("refuses a token that is not valid", () => assert.rejects(ask({ token: "somebody-else's" }), { code: "IMG5020", message: /refuses the token/ }));
  it("has not every image", () => assert.rejects(ask({ digest: "0".repeat(64) }), { code: "IMG5020" }));
  for (const [what, body] of [["no JSON", "<html>"], ["no token", "{}"], ["a token with a line end", `{"access_token":"a\\nb"}`]] as const) {
    it(`that answers ${what} is not believed`, async () => {
      server.answers.set(exchange, (_, response) => void response.end(body));
      await assert.rejects(ask(), { code: "IMG5021" });
      server.answers.delete(exchange);
    });
  }
  it("that is down fails for the time being", async () => {
    server.answers.set(exchange, (_, response) => void response.writeHead(503).end());
    await assert.rejects(ask(), { code: "IMG5001", exitCode: 75 });
    server.answers.delete(exchange);
  });
  it("does not get the token redirected elsewhere", async () => {
    let stolen = false;
    server.answers.set("thief", (_, response) => {
      stolen = true;
      response.end("{}");
    });
    server.answers.set(exchange, (_, response) => void response.writeHead(307, { location: `${server.url}/thief` }).end());
    await assert.rejects(ask(), { code: "IMG5021" });
    server.answers.delete(exchange);
    assert.equal(stolen, false);
  });
  it("is asked by HTTPS, unless it is this host", () =>
    assert.rejects(ask({ env: { IMGTASK_RHEL_PORTAL: "http://portal.example.org" } }), { code: "IMG2105", exitCode: 2 }));
});
