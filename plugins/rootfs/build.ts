/**
 * Runs mmdebstrap inside the namespace: packages in, a tar of the root out.
 * Knows nothing of targets; no machine description comes here.
 * @module
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImgtaskError } from "../../lib/mod.ts";
import { isFull, makeScratch } from "../machine/inside.ts";
import { insideMain } from "../machine/namespace.ts";
import { logLine } from "../machine/log.ts";

/** What is to be built. */
export interface RootfsJob {
  /** Where the tar and the list of packages are to be. */
  readonly out: string;
  readonly packages: string;
  /** An empty directory. */
  readonly tmp: string;
  /** As the distribution calls it. */
  readonly architecture: string;
  readonly suite: string;
  /** Lines of sources.list to build from, and those that the image is to have. */
  readonly sources: readonly string[];
  readonly imageSources: readonly string[];
  readonly include: readonly string[];
  readonly keyring: string;
}

/** File URL of this module, for `runInside`. */
export const rootfsScript: string = import.meta.url;

/** Memory below which the tree is built on disk: a server with a kernel takes about 600 MiB together with its packages. */
const wanted = 2 * 2 ** 30;

// mmdebstrap takes hooks as shell text; these are constants, and values reach them by environment variables.

/** Kernel packages and triggers would make the initramfs twice, 6 s each. Until the end, asking for one does nothing. */
const holdInitramfs =
  `chroot "$1" dpkg-divert --quiet --local --rename --add /usr/sbin/update-initramfs && ln -s /bin/true "$1"/usr/sbin/update-initramfs`;

const makeInitramfs = `set -e
rm "$1"/usr/sbin/update-initramfs
chroot "$1" dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs
if [ -x "$1"/usr/sbin/update-initramfs ]; then chroot "$1" update-initramfs -c -k all; fi`;

/** What was made for this host, this build or one machine only. */
const clean = `set -e
chroot "$1" dpkg-query --show --showformat '\${binary:Package} \${Version} \${Architecture}\\n' > "$IMGTASK_PACKAGES"
cp "$IMGTASK_SOURCES" "$1"/etc/apt/sources.list
rm -f "$1"/etc/resolv.conf "$1"/etc/.resolv.conf.systemd-resolved.bak "$1"/etc/hostname "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub
rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/apt/apt.conf.d/99mmdebstrap
rm -f "$1"/var/lib/systemd/random-seed "$1"/var/lib/dbus/machine-id
rm -f "$1"/etc/passwd- "$1"/etc/group- "$1"/etc/shadow- "$1"/etc/gshadow- "$1"/etc/subuid- "$1"/etc/subgid-`;

function build(job: RootfsJob, scratch: string): number {
  const keyring = join(scratch, "archive.gpg");
  const sources = join(scratch, "sources.list");
  mkdirSync(join(scratch, "tmp"), { mode: 0o1777 });
  // Where apt's own user can read it, even when the package is installed in a private home.
  copyFileSync(job.keyring, keyring);
  writeFileSync(sources, job.imageSources.map((line) => `${line}\n`).join(""));
  const argv = [
    "mmdebstrap",
    "--mode=root",
    "--variant=minbase",
    "--format=tar",
    `--architectures=${job.architecture}`,
    `--include=${job.include.join(",")}`,
    `--keyring=${keyring}`,
    "--dpkgopt=force-unsafe-io",
    `--essential-hook=${holdInitramfs}`,
    `--customize-hook=${makeInitramfs}`,
    `--customize-hook=${clean}`,
    job.suite,
    job.out,
    ...job.sources,
  ];
  const result = spawnSync(argv[0]!, argv.slice(1), {
    stdio: ["ignore", 2, 2],
    env: { ...process.env, LC_ALL: "C.UTF-8", TMPDIR: join(scratch, "tmp"), IMGTASK_PACKAGES: join(scratch, "packages"), IMGTASK_SOURCES: sources },
  });
  if (result.error !== undefined) throw new ImgtaskError("IMG3001", `Cannot run "mmdebstrap": ${result.error.message}`);
  if (result.status === 0) copyFileSync(join(scratch, "packages"), job.packages);
  return result.status ?? 128;
}

await insideMain<RootfsJob>(import.meta.url, (job) => {
  const memory = join(job.tmp, "memory");
  let code = -1;
  if (makeScratch(memory, wanted)) {
    code = build(job, memory);
    if (code !== 0 && isFull(memory)) {
      logLine("the tree does not fit into memory; once more on disk");
      rmSync(job.out, { force: true });
      code = -1;
    }
  }
  if (code === -1) {
    const disk = join(job.tmp, "disk");
    mkdirSync(disk, { mode: 0o755 });
    code = build(job, disk);
    rmSync(disk, { recursive: true, force: true });
  }
  if (code !== 0 || !existsSync(job.out)) {
    throw new ImgtaskError("IMG3210", `mmdebstrap could not build "${job.suite}" for ${job.architecture}`, {
      expected: "exit code 0",
      found: `exit code ${code}`,
      hint: "The log above names the package or the file; a package that does not exist, or an unreachable mirror, are usual causes",
    });
  }
});
