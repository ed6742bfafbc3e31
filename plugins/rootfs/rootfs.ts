/**
 * `rootfs()`: a root file system from a distribution's packages, as a tar.
 * Knows no distribution by name, and nothing of a machine but the packages that it wants.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AptDistro, checkCall, ExitCode, fit, type Fits, ImgtaskError, type Keyring, type Machine, type NoticeContext, output, type OutputSpec, type PinContext, type Target, target, tool } from "../../lib/mod.ts";
import { archOf, emulationOf } from "../arch/mod.ts";
import { fetchKeys } from "../download/image.ts";
import { findMirror, hostMirrors } from "../download/mirror.ts";
import { machineFit } from "../machine/fit.ts";
import { imagePackages } from "../machine/image.ts";
import { namespaceTools, runInside } from "../machine/namespace.ts";
import { keyringFor, keysFor, selectKeys } from "../verify/keyring.ts";
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

const fits: Fits<RootfsOptions<string, string, string, string>> = {
  distro: fit.needed(fit.by("a distribution with an archive that root file systems can be built of", (value) => fit.isObject(value) && "archive" in value && "bootPackages" in value)),
  release: fit.needed(fit.text),
  arch: fit.needed(fit.text),
  machine: fit.needed(machineFit),
};

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

/** The pinned keys out of a file that somebody else keeps. */
async function broughtKeys(keys: Keyring, pinned: readonly string[], context: PinContext): Promise<Buffer> {
  const file = join(context.tmp, "published-keys");
  await fetchKeys(keys, file, context);
  const { bytes, found } = selectKeys(existsSync(file) ? readFileSync(file) : Buffer.alloc(0), pinned);
  if (found.length > 0) return bytes;
  throw new ImgtaskError("IMG4040", "None of the pinned keys is at hand, so that no list of packages can be checked", {
    expected: pinned.join(", "),
    found: "a file of other keys",
    hint: `Name a file that holds one of them${keys.env === undefined ? "" : ` in ${keys.env}`}${keys.url === undefined ? "" : `; they are published at ${keys.url}`}`,
    exitCode: ExitCode.refused,
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
 * @throws {ImgtaskError} IMG2111 for a release or architecture that the distribution lacks. When run, IMG4040 where no
 * pinned key is at hand, IMG3210 when mmdebstrap fails.
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
  checkCall("rootfs", name, options, fits);
  const { distro, machine } = options;
  // Plain JavaScript has no type checker.
  const release = Object.hasOwn(distro.releases, options.release) ? distro.releases[options.release] : undefined;
  if (release === undefined) throw unknown("release", options.release, distro.title, Object.keys(distro.releases));
  const architecture = Object.hasOwn(distro.architectures, options.arch) ? distro.architectures[options.arch] : undefined;
  if (architecture === undefined) throw unknown("architecture", options.arch, distro.title, Object.keys(distro.architectures));
  const arch = archOf(options.arch);
  const suites = release.suites.map(({ suite, components, archive }) => ({ suite, components, archive: archive ?? distro.archive }));
  const pinned = keysFor(distro.keys, "archive").map(({ fingerprint }) => fingerprint);
  // Keys that imgtask does not carry are brought when it runs; their fingerprints say all of them.
  const carried = distro.keys.files === undefined ? undefined : keyringFor(distro.keys, "archive");
  const boot = distro.bootPackages(options.arch, machine, options.release);
  const notices = distro.notices?.({ release: options.release, arch: options.arch });
  const made = target(`rootfs:${name}`, {
    description: `${distro.title} ${options.release} for ${arch.name}`,
    // All that the tar depends on. The digest stands for the keyring.
    params: {
      distro: distro.name,
      release: options.release,
      suites: suites.map(({ suite, components, archive }) => ({ suite, components, mirror: archive.otherMirrors?.[arch.name] ?? archive.defaultMirror })),
      architecture,
      packages: [...new Set([...imagePackages(machine), ...boot])].sort(),
      keyring: carried === undefined ? pinned : createHash("sha256").update(carried).digest("hex"),
    },
    env: [...new Set(suites.map(({ archive }) => archive.mirrorEnv)), ...(carried === undefined && distro.keys.env !== undefined ? [distro.keys.env] : [])],
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
        const mirror = await findMirror(archive, context, arch.name);
        // apt uses packages of "file:" where they lie, which is outside the root where dpkg looks; "copy:" brings them in.
        sources.push(`deb ${mirror.replace(/^file:/, "copy:")} ${suite} ${components.join(" ")}`);
      }
      const keys = join(tmp, "keys.gpg");
      writeFileSync(keys, carried ?? (await broughtKeys(distro.keys, pinned, context)));
      await runInside(context, rootfsScript, {
        out: outputs.out,
        packages: outputs.packages,
        tmp,
        architecture: params.architecture,
        suite: params.suites[0]!.suite,
        sources,
        imageSources: params.suites.map(({ suite, components, mirror }) => `deb ${mirror} ${suite} ${components.join(" ")}`),
        include: params.packages,
        keyring: keys,
      });
    },
  });
  return Object.freeze({ ...made, machine, arch: options.arch, distro: distro.name });
}
