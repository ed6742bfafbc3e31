/**
 * What vendors' media say that they carry, in the vendors' own forms: Debian's lists and pool, Ubuntu's manifests, repositories of
 * RPM. Small, and written by hand after the real ones. Knows nothing of the code under test.
 * @module
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

/** Files by their paths on the medium, without a leading slash. */
export type MediumFiles = Readonly<Record<string, string | Buffer>>;

/** A stanza of a Packages file. */
export const stanza = (name: string, version: string, filename: string, rest = "", arch = "amd64"): string =>
  `Package: ${name}\nVersion: ${version}\nArchitecture: ${arch}\nMaintainer: Debian Team <team@lists.debian.org>\nInstalled-Size: 12\n${rest}Description: about ${name}\n more of it\nHomepage: https://${name}.example.org/\nFilename: ${filename}\nSize: 10\nSHA256: ${"0".repeat(64)}\n\n`;

/** A package of a primary list. */
export const primaryPackage = (name: string, evr: { readonly epoch?: string; readonly ver: string; readonly rel: string }, rest: { readonly arch?: string; readonly license?: string; readonly requires?: readonly string[]; readonly provides?: readonly string[]; readonly href?: string } = {}): string => {
  const { epoch = "0", ver, rel } = evr, { arch = "x86_64", license = "MIT", requires = [], provides = [] } = rest;
  const entries = (list: readonly string[]): string => list.map((one) => `      <rpm:entry name="${one}"/>\n`).join("");
  return `<package type="rpm">
  <name>${name}</name>
  <arch>${arch}</arch>
  <version epoch="${epoch}" ver="${ver}" rel="${rel}"/>
  <checksum type="sha256" pkgid="YES">${"0".repeat(64)}</checksum>
  <summary>about ${name}</summary>
  <description>more of ${name}</description>
  <packager>The Packagers &lt;packagers@example.org&gt;</packager>
  <url>https://${name.toLowerCase()}.example.org/</url>
  <time file="1" build="1"/>
  <size package="10" installed="10" archive="10"/>
  <location href="${rest.href ?? `Packages/${name.slice(0, 1).toLowerCase()}/${name}-${ver}-${rel}.${arch}.rpm`}"/>
  <format>
    <rpm:license>${license}</rpm:license>
    <rpm:sourcerpm>${name}-${ver}-${rel}.src.rpm</rpm:sourcerpm>
    <rpm:provides>
${entries([name, ...provides])}    </rpm:provides>
    <rpm:requires>
${entries(requires)}    </rpm:requires>
    <file>/usr/bin/${name}</file>
  </format>
</package>
`;
};

/** A primary list. */
export const primary = (packages: readonly string[]): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${packages.length}">\n${packages.join("")}</metadata>\n`;

function repository(directory: string, packages: readonly string[], files: readonly string[]): MediumFiles {
  const data = gzipSync(primary(packages)), digest = createHash("sha256").update(data).digest("hex");
  return {
    [`${directory}/repodata/repomd.xml`]: `<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><checksum type="sha256">${digest}</checksum><location href="repodata/${digest}-primary.xml.gz"/></data></repomd>\n`,
    [`${directory}/repodata/${digest}-primary.xml.gz`]: data,
    ...Object.fromEntries(files.map((file) => [`${directory}/Packages/${file.slice(0, 1)}/${file}`, "a package\n"])),
  };
}

/** Lists and packages of a shape of media. */
export function mediumLists(shape: "debian" | "ubuntu" | "el9" | "fedora"): MediumFiles {
  switch (shape) {
    case "debian":
      return {
        "pool/main/b/base-files/base-files_12.4+deb12u5_amd64.deb": "a package\n", "pool/main/o/openssl/libssl3_3.0.11-1~deb12u2_amd64.deb": "a package\n", "pool/main/d/debian-installer-utils/di-utils_1.145_amd64.udeb": "a package\n",
        "dists/bookworm/main/binary-amd64/Packages.gz": gzipSync(
          stanza("base-files", "12.4+deb12u5", "pool/main/b/base-files/base-files_12.4+deb12u5_amd64.deb", "Pre-Depends: awk\nDepends: libssl3 (>= 3), nothing\n") + stanza("libssl3", "3.0.11-1~deb12u2", "pool/main/o/openssl/libssl3_3.0.11-1~deb12u2_amd64.deb", "Source: openssl\n")),
        "dists/bookworm/main/debian-installer/binary-amd64/Packages.gz": gzipSync(stanza("di-utils", "1.145", "pool/main/d/debian-installer-utils/di-utils_1.145_amd64.udeb", "Source: debian-installer-utils\n")),
      };
    case "ubuntu":
      return {
        "casper/ubuntu-server-minimal.manifest": "adduser\t3.137ubuntu1\nlibc6:amd64\t2.39-0ubuntu8.4\nlibssl3t64:amd64\t3.0.13-0ubuntu3.5\n",
        "casper/ubuntu-server-minimal.ubuntu-server.manifest": "adduser\t3.137ubuntu1\ncloud-init\t24.4-0ubuntu1~24.04.2\nlibc6:amd64\t2.39-0ubuntu8.4\nlibssl3t64:amd64\t3.0.13-0ubuntu3.5\nsnap:lxd\t5.21/stable/ubuntu-24.04\t31333\n",
        "pool/main/e/efibootmgr/efibootmgr_18-1build2_amd64.deb": "a package\n",
        "dists/noble/main/binary-amd64/Packages.gz": gzipSync(stanza("efibootmgr", "18-1build2", "pool/main/e/efibootmgr/efibootmgr_18-1build2_amd64.deb")),
      };
    case "el9":
      return {
        ...repository("BaseOS", [primaryPackage("bash", { ver: "5.1.8", rel: "9.el9" }, { license: "GPLv3+", requires: ["libc.so.6()(64bit)", "rpmlib(X)"] }), primaryPackage("glibc", { ver: "2.34", rel: "125.el9" }, { license: "LGPL-2.1-or-later", provides: ["libc.so.6()(64bit)"] })], ["bash-5.1.8-9.el9.x86_64.rpm", "glibc-2.34-125.el9.x86_64.rpm"]),
        ...repository("AppStream", [primaryPackage("nginx", { epoch: "2", ver: "1.20.1", rel: "20.el9" }, { license: "BSD-2-Clause", requires: ["bash"] })], ["nginx-1.20.1-20.el9.x86_64.rpm"]),
      };
    case "fedora":
      // A medium that installs from the network.
      return {};
  }
}
