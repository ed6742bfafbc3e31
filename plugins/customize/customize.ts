/**
 * The kind `customize`: verified installer media and a machine description become an installer that asks nothing.
 * Knows answer formats; knows neither where media come from nor how they are put on an ISO.
 * @module
 */
import { chmodSync, copyFileSync, lstatSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  ExitCode,
  ImgtaskError,
  type InstalledMachine,
  type Media,
  output,
  type OutputSpec,
  type RunContext,
  type Secrets,
  type Target,
  target,
} from "../../lib/mod.ts";
import { originOf } from "../dirs/dirs.ts";
import { machineParams, type MachineParams } from "../machine/params.ts";
import { machineSecrets, passwordTools, withPasswords } from "../machine/passwords.ts";
import type { Verified } from "../verify/verify.ts";
import type { Answers } from "./answers.ts";
import { cpio } from "./cpio.ts";
import { latePackages, payload, payloadDirectory } from "./payload.ts";
import { preseed, preseedPackages, type PreseedContext } from "./preseed.ts";

/** What `customize()` takes. */
export interface CustomizeOptions {
  /** Installer media whose signature was checked, as `verify()` gives them. A mere download does not compile. */
  readonly media: Verified;
  /** The machine to install. */
  readonly machine: InstalledMachine;
  /** Archive to install from, `http:` or `https:`. @default the default mirror of the media's archive */
  readonly mirror?: string;
  /** Disk to install on, as `/dev/vda`; all that is on it is lost. @default the only one; with several, the installer asks */
  readonly disk?: string;
  /**
   * What comes after the installation. An unattended medium that is still in its drive after a reboot would install
   * once more.
   * @default "poweroff"
   */
  readonly afterwards?: "poweroff" | "reboot";
}

/** A target that makes an installer: kernel, initial file system, and answers. */
export type Customized<Name extends string = string> =
  & Target<`customize:${Name}`, { readonly out: OutputSpec<"installer tree"> }>
  & { readonly media: Media };

/** The answers of a format, and the files it reads beside them. */
const formats: Readonly<Partial<Record<Media["answers"], (machine: InstalledMachine, context: PreseedContext) => Answers>>> = { preseed };

/**
 * Declares target `customize:NAME`: an installer tree that installs a machine without asking.
 *
 * The tree holds `install/vmlinuz`, `install/initrd.gz`, `preseed.cfg`, and `preseed.cpio`: a second initial file
 * system with the answers and all files of the machine, which boot loaders load behind the first. What the answer
 * format cannot express is refused here, not left out.
 *
 * @param name letters, digits, `.`, `_`, `+`, `-`.
 * @throws {ImgtaskError} IMG2311 for media of an unknown answer format, IMG2312 and IMG2313 for a machine that the
 * format cannot express.
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const tree = customize("debian", { media: verify("debian", { media, trust: debian.keys }), machine: lab });
 * ```
 */
export function customize<const Name extends string>(name: Name, options: CustomizeOptions): Customized<Name> {
  const { media } = options.media;
  const format = Object.hasOwn(formats, media.answers) && media.kind === "package" ? formats[media.answers] : undefined;
  if (format === undefined || media.kind !== "package") {
    throw new ImgtaskError("IMG2311", `Media "${media.id}" read answers in an unknown format`, {
      expected: Object.keys(formats).map((format) => `"${format}"`).join(" or "),
      found: JSON.stringify(media.answers),
      exitCode: ExitCode.usage,
    });
  }
  const answers = format(options.machine, {
    release: media.release,
    payload: `/${payloadDirectory}`,
    mirror: options.mirror ?? media.package.archive.defaultMirror,
    ...(options.disk === undefined ? {} : { disk: options.disk }),
    ...(options.afterwards === undefined ? {} : { afterwards: options.afterwards }),
  });
  const declared = target(`customize:${name}`, {
    description: `Unattended installer of ${options.machine.hostname} from ${media.id}`,
    inputs: { media: options.media },
    params: {
      answers: answers.files["preseed.cfg"]!,
      packages: latePackages(options.machine, preseedPackages(options.machine)).late,
      machine: machineParams(options.machine),
      origins: options.machine.directories.map(({ list }) => originOf(list)),
    },
    secrets: machineSecrets(options.machine),
    tools: passwordTools(options.machine),
    outputs: { out: output("tree", "installer tree") },
    platform: media.arch,
    module: import.meta.url,
    run: build,
  });
  return Object.freeze({ ...declared, media });
}

type Build = RunContext<
  { readonly media: Verified },
  { readonly answers: string; readonly packages: readonly string[]; readonly machine: MachineParams; readonly origins: readonly string[] },
  { readonly out: OutputSpec },
  Secrets
>;

async function build(context: Build): Promise<void> {
  const { inputs, params, outputs, epoch, log } = context;
  const install = join(outputs.out, "install");
  const files = [join(install, "vmlinuz"), join(install, "initrd.gz"), join(outputs.out, "preseed.cfg"), join(outputs.out, "preseed.cpio")] as const;
  const [kernel, initrd, answers, archive] = files;
  const extra = payload(await withPasswords(params.machine, context), { origins: params.origins, epoch, packages: params.packages });
  mkdirSync(outputs.out, { mode: 0o755 });
  mkdirSync(install, { mode: 0o755 });
  copyFileSync(join(inputs.media, "linux"), kernel);
  copyFileSync(join(inputs.media, "initrd.gz"), initrd);
  writeFileSync(answers, params.answers);
  writeFileSync(archive, cpio([{ path: "preseed.cfg", mode: 0o644, content: Buffer.from(params.answers) }, ...extra], epoch));
  for (const file of files) {
    chmodSync(file, 0o644);
    utimesSync(file, epoch, epoch);
  }
  for (const directory of [install, outputs.out]) {
    chmodSync(directory, 0o755);
    utimesSync(directory, epoch, epoch);
  }
  log(`${params.answers.split("\n").length - 1} answers, ${lstatSync(archive).size} bytes for the machine`);
}
