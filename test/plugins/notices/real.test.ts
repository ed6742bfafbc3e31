/**
 * The real chain: what Debian's security archive, on the host's mirror, has newer than packages of long ago, proven by
 * Debian's own keys; asked the way in which `imgtask outdated` asks a `rootfs:` target.
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { debian } from "../../../distros/debian.ts";
import { machine, type NoticeContext, type NoticeReport } from "../../../lib/mod.ts";
import { run } from "../../../lib/process.ts";
import { registry } from "../../../lib/target.ts";
import { rootfs } from "../../../plugins/rootfs/rootfs.ts";

it("packages of bookworm's first day have updates in the signed security archive", { timeout: 300_000 }, async (t) => {
  rootfs("old", { distro: debian, release: "bookworm", arch: "x86_64", machine: machine({ hostname: "old" }) });
  const tmp = mkdtempSync(join(tmpdir(), "imgtask-notices-test-")), list = join(tmp, "packages"), { signal } = new AbortController();
  writeFileSync(list, "libssl3:amd64 3.0.9-1 amd64\nlinux-image-cloud-amd64 6.1.27-1 amd64\nbase-files 12.4 amd64\nlibc6:amd64 2.36-9+deb12u9999 amd64\n");
  const place = { cwd: tmp, env: process.env, logFd: openSync("/dev/null", "w"), signal };
  const context: NoticeContext = {
    params: null, secrets: {}, project: tmp, tmp, signal, entry: undefined,
    env: { ...process.env, IMGTASK_DEBIAN_NOTICES: "http://127.0.0.1:9/nobody" },
    exec: (argv, options) => run(argv, place, options),
    log: () => {},
    progress: () => {},
    stored: (output) => Promise.resolve(output === "packages" ? list : undefined),
  };
  try {
    const [archive, tracker] = await registry().targets.find(({ declaration }) => declaration.name === "rootfs:old")!.notices!(context);
    const { trust, signer, packages, notices } = archive as NoticeReport;
    assert.deepEqual([trust, packages], ["signed", 4]);
    assert.match(signer!, /^Debian Security Archive Automatic Signing Key/);
    assert.deepEqual(notices.map(({ id }) => id), ["linux-update", "openssl-update"], "not what is newer here, nor what had no update");
    t.diagnostic(notices.flatMap((one) => one.packages.map(({ name, found, fixed }) => `${name} ${found!} → ${fixed!}`)).join(", "));
    assert.deepEqual([tracker && "state" in tracker && tracker.state, tracker && "code" in tracker && tracker.code], ["unavailable", "IMG5001"]);
  } finally {
    rmSync(tmp, { recursive: true, force: true });
  }
});
