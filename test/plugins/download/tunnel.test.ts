/**
 * HTTPS through a proxy: the tunnel is used, the certificate is checked, and there is no way back to HTTP.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

it("HTTPS goes through a proxy's tunnel to the server whose name was asked for", (test) => {
  if (spawnSync("openssl", ["version"]).status !== 0) return test.skip("no openssl to make a certificate with");
  const directory = mkdtempSync(join(tmpdir(), "imgtask-tunnel-test-"));
  try {
    const certificate = join(directory, "cert.pem");
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", join(directory, "key.pem"), "-out", certificate, "-days", "2", "-subj", "/CN=mirror.test", "-addext", "subjectAltName=DNS:mirror.test"], { stdio: "ignore" });
    const child = fileURLToPath(new URL("tunnel-child.ts", import.meta.url));
    // The further authority must be there when the process starts.
    const output = execFileSync(process.execPath, ["--import", "tsx", child, directory], { encoding: "utf8", env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate } });
    assert.deepEqual(JSON.parse(output), {
      good: "this is /file",
      first: `mirror.test:443 Basic ${Buffer.from("user:pass").toString("base64")}`,
      downgrade: "IMG5007",
      otherName: "IMG5009",
      denied: "IMG5001",
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
