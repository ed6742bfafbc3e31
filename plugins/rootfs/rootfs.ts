/**
 * `rootfs()`: a root file system from a distribution's packages, as a tar.
 * Knows no distribution by name, and nothing of a machine but the packages that it wants.
 * @module
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AptDistro, ExitCode, ImgtaskError, type Machine, type NoticeContext, output, type OutputSpec, type Target, target, tool } from "../../lib/mod.ts";
import { archOf, emulationOf } from "../arch/mod.ts";
import { findMirror, hostMirrors } from "../download/mirror.ts";
import { imagePackages } from "../machine/image.ts";
import { namespaceTools, runInside } from "../machine/namespace.ts";
import { keyringFor } from "../verify/keyring.ts";
import { rootfsScript } from "./build.ts";

const mmdebstrap = tool("mmdebstrap", { min: "1.3", packages: { apt: "mmdebstrap" } });

/** What `rootfs()` takes beside the name. */
export interface RootfsOptions<N extends string, R extends string, A extends string, C extends NoInfer<A>> {
  /** The distribution whose packages it is made of: one with an archive that root file systems can be built of. */
  readonly distro: AptDistro<N, R, A>;
  /** One of the distribution's releases. */
  readonly release: NoInfer<R>;
  /** One of the distribution's architectures. */
  readonly arch: C;
  /** The machine. Only its packages count here; all else is applied by what is made from the root file system. */
  readonly machine: Machine;
}

/** A root file system with the packages of a machine, and the machine it is meant for. */
export type Rootfs<Name extends string = string, A extends string = string> = Target<
  `rootfs:${Name}`,
  { readonly out: OutputSpec<"rootfs">; readonly packages: OutputSpec<"package list"> }
> & {
  /** Applied by `disk()`; not part of the tar. */
  readonly machine: Machine;
  readonly arch: A;
  /** Name of the distribution. */
  readonly distro: string;
};

function unknown(what: string, asked: string, title: string, known: readonly string[]): ImgtaskError {
  return new ImgtaskError("IMG2111", `${title} has no ${what} "${asked}"`, {
    expected: known.map((name) => `"${name}"`).join(" or "),
    exitCode: ExitCode.usage,
  });
}

/**
 * Declares a root file system: base system, what it needs to boot, and the machine's packages, installed by
 * mmdebstrap from the distribution's signed archive. Runs as an ordinary user too. Outputs: `out`, a tar, and
 * `packages`, lines of name, version and architecture.
 *
 * It is rebuilt when the release, the architecture or the list of packages changes, and not when anything else of
 * the machine does.
 *
 * @throws {ImgtaskError} IMG2111 for a release or architecture that the distribution lacks.
 *
 * @example
 * ```ts
 * const root = rootfs("debian", { distro: debian, release: "bookworm", arch: "x86_64", machine: lab });
 * ```
 */
export function rootfs<const Name extends string, N extends string, R extends string, A extends string, const C extends NoInfer<A>>(
  name: Name,
  options: RootfsOptions<N, R, A, C>,
): Rootfs<Name, C> {
  const { distro, machine } = options;
  // Plain JavaScript has no type checker.
  const release = Object.hasOwn(distro.releases, options.release) ? distro.releases[options.release] : undefined;
  if (release === undefined) throw unknown("release", options.release, distro.title, Object.keys(distro.releases));
  const architecture = Object.hasOwn(distro.architectures, options.arch) ? distro.architectures[options.arch] : undefined;
  if (architecture === undefined) throw unknown("architecture", options.arch, distro.title, Object.keys(distro.architectures));
  const arch = archOf(options.arch);
  const suites = release.suites.map(({ suite, components, archive }) => ({ suite, components, archive: archive ?? distro.archive }));
  const keyring = keyringFor(distro.keys, "archive");
  const notices = distro.notices?.({ release: options.release, arch: options.arch });
  const made = target(`rootfs:${name}`, {
    description: `${distro.title} ${options.release} for ${arch.name}`,
    // All that the tar depends on. The digest stands for the keyring.
    params: {
      distro: distro.name,
      release: options.release,
      suites: suites.map(({ suite, components, archive }) => ({ suite, components, mirror: archive.defaultMirror })),
      architecture,
      packages: [...new Set([...imagePackages(machine), ...distro.bootPackages(options.arch, machine)])].sort(),
      keyring: createHash("sha256").update(keyring).digest("hex"),
    },
    env: [...new Set(suites.map(({ archive }) => archive.mirrorEnv))],
    tools: [mmdebstrap, ...namespaceTools, ...emulationOf(arch)],
    outputs: { out: output("file", "rootfs"), packages: output("file", "package list") },
    platform: arch.name,
    // apt and dpkg keep one core busy, compressing the initramfs the other now and then.
    resources: { cpu: 1, memory: "2G", disk: "1G", network: true },
    ...(notices === undefined ? {} : { notices: async (context: NoticeContext) => (await import("../notices/notices.ts")).askNotices(notices, "rootfs", distro.keys, context) }),
    // What mmdebstrap and apt look at on their way; none of it gets into the tar.
    untracked: { reads: [...hostMirrors.reads, "/etc/hostname", "/etc/gnupg", "/dev/shm", "/run/user", "/var/run/user"] },
    module: import.meta.url,
    async run(context) {
      const { params, outputs, tmp } = context;
      const sources: string[] = [];
      for (const { suite, components, archive } of suites) {
        const mirror = await findMirror(archive, context);
        // apt uses packages of "file:" where they lie, which is outside the root where dpkg looks; "copy:" brings them in.
        sources.push(`deb ${mirror.replace(/^file:/, "copy:")} ${suite} ${components.join(" ")}`);
      }
      const keys = join(tmp, "keys.gpg");
      writeFileSync(keys, keyring);
      await runInside(context, rootfsScript, {
        out: outputs.out,
        packages: outputs.packages,
        tmp,
        architecture: params.architecture,
        suite: params.release,
        sources,
        imageSources: params.suites.map(({ suite, components, mirror }) => `deb ${mirror} ${suite} ${components.join(" ")}`),
        include: params.packages,
        keyring: keys,
      });
    },
  });
  return Object.freeze({ ...made, machine, arch: options.arch, distro: distro.name });
}
