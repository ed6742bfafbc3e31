/**
 * What is particular to Debian. What every distribution promises is in `test/contract/distro.test.ts`.
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { debian } from "../../distros/debian.ts";
import { defineDistro, machine } from "../../lib/mod.ts";

describe("Debian", () => {
  it("has the installer of each release in the package that Debian calls so", () => {
    // That every medium carries where its notices are, test/contract/distro.test.ts shows.
    const { notices: _, ...media } = debian.installer({ release: "bookworm", arch: "x86_64" });
    assert.deepEqual(media, {
      kind: "package",
      id: "debian-bookworm-netboot-amd64",
      distro: "debian",
      release: "bookworm",
      arch: "x86_64",
      package: { archive: debian.archive, suite: "bookworm", component: "main", architecture: "amd64", name: "debian-installer-12-netboot-amd64" },
      files: {
        kernel: "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux",
        initrd: "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/initrd.gz",
      },
      answers: "preseed",
    });
    assert.equal(debian.installer({ release: "trixie", arch: "aarch64" }).package.name, "debian-installer-13-netboot-arm64");
  });
  it("boots with a cloud kernel, and resolves names only where there is a network", () => {
    assert.deepEqual(debian.bootPackages("x86_64", machine({ hostname: "a" }), "bookworm"), ["linux-image-cloud-amd64", "systemd-sysv", "udev", "systemd-resolved"]);
    assert.deepEqual(debian.bootPackages("aarch64", machine({ hostname: "a", network: "none" }), "bookworm"), ["linux-image-cloud-arm64", "systemd-sysv", "udev"]);
  });
  it("takes security updates from the security archive", () => {
    const security = debian.releases.trixie.suites.find(({ suite }) => suite === "trixie-security");
    assert.match(security?.archive?.defaultMirror ?? "", /^https?:.*\/debian-security$/);
    assert.equal(security?.archive?.label, "Debian-Security");
  });
  it("does not let an unknown release or architecture compile", () => {
    // @ts-expect-error There is no such release.
    assert.throws(() => debian.installer({ release: "buster", arch: "x86_64" }), { code: "IMG2102" });
    // @ts-expect-error Not an architecture that Debian is built for here.
    assert.throws(() => debian.installer({ release: "bookworm", arch: "riscv64" }), { code: "IMG2103" });
    // @ts-expect-error The distribution's own name is no name for an imagefile.
    assert.throws(() => debian.bootPackages("amd64", machine({ hostname: "a" })), { code: "IMG2103" });
  });
});

describe("defineDistro", () => {
  it("refuses keys that are pinned by less than their whole fingerprint", () => {
    for (const fingerprints of [[], ["B7C5D7D6350947F8"], ["b8b80b5b623eab6ad8775c45b7c5d7d6350947f8"]]) {
      assert.throws(() => defineDistro({ ...debian, keys: { keys: fingerprints.map((fingerprint) => ({ fingerprint })) } }), { code: "IMG2104", exitCode: 2 });
    }
    for (const until of ["2031", "31.12.2031", "2031-13-01"]) {
      assert.throws(() => defineDistro({ ...debian, keys: { keys: [{ fingerprint: "A".repeat(40), until }] } }), { code: "IMG2104", exitCode: 2 });
    }
  });
});
