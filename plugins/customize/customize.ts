/**
 * The kind `customize`: verified installer media and a machine description become an installer that asks nothing.
 * Knows answer formats; knows neither where media come from nor how they are put on an ISO.
 * @module
 */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type AnswerFormat,
  checkCall,
  ExitCode,
  fit,
  type Fits,
  ImgtaskError,
  type InstalledMachine,
  type IsoLayout,
  type Json,
  type Media,
  output,
  type OutputSpec,
  type RunContext,
  type Secrets,
  type Target,
  target,
} from "../../lib/mod.ts";
import { originOf } from "../dirs/dirs.ts";
import { machineFit } from "../machine/fit.ts";
import { machineParams, type MachineParams } from "../machine/params.ts";
import { machineSecrets, passwordTools, withPasswords } from "../machine/passwords.ts";
import type { Verified } from "../verify/verify.ts";
import type { AnswerContext, Answers } from "./answers.ts";
import { autoinstall, autoinstallPackages } from "./autoinstall.ts";
import { cpio } from "./cpio.ts";
import { kickstart, kickstartPackages } from "./kickstart.ts";
import { latePackages, payload, payloadFiles } from "./payload.ts";
import { placements } from "./placement.ts";
import { preseed, preseedPackages } from "./preseed.ts";

/** What `customize()` takes. */
export interface CustomizeOptions {
  /** Installer media whose signature was checked, as `verify()` gives them. A mere download does not compile. */
  readonly media: Verified;
  /** The machine to install. */
  readonly machine: InstalledMachine;
  /**
   * Where to install from, `http:` or `https:`. An ISO that is answered by a preseed file needs to be told.
   * @default the default mirror of the media's archive; of an ISO the medium itself
   */
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

const fits: Fits<CustomizeOptions> = {
  media: fit.needed(fit.target("verified media", ["media"], "verified media, as verify() gives them")),
  machine: fit.needed(machineFit),
  mirror: fit.text,
  disk: fit.text,
  afterwards: fit.word("poweroff", "reboot"),
};

/** A target that makes an installer: kernel, initial file system, and answers. */
export type Customized<Name extends string = string> =
  & Target<`customize:${Name}`, { readonly out: OutputSpec<"installer tree"> }>
  & {
    readonly media: Media;
    /** The media that it was made from: what is laid over an ISO needs the ISO. */
    readonly verified: Verified;
  };

/** A format: its answers, and the packages that a machine wants by it. */
interface Format {
  readonly answers: (machine: InstalledMachine, context: AnswerContext) => Answers;
  readonly packages: (machine: InstalledMachine) => readonly string[];
}

const formats: Readonly<Record<AnswerFormat, Format>> = {
  preseed: {
    answers: (machine, { mirror, ...context }) => {
      if (mirror !== undefined) return preseed(machine, { ...context, mirror });
      throw new ImgtaskError("IMG2411", "A preseed file needs to say what an ISO installs from", {
        expected: `a mirror, as in customize(…, { mirror: "http://mirror.example.org/debian" })`,
        found: "none",
        exitCode: ExitCode.usage,
      });
    },
    packages: preseedPackages,
  },
  kickstart: { answers: kickstart, packages: kickstartPackages },
  autoinstall: { answers: autoinstall, packages: autoinstallPackages },
};

/**
 * Declares target `customize:NAME`: an installer tree that installs a machine without asking.
 *
 * Of installer files the tree holds `install/vmlinuz`, `install/initrd.gz`, `preseed.cfg`, and `preseed.cpio`: a second
 * initial file system with the answers and all files of the machine, which boot loaders load behind the first. Of an
 * ISO it holds what is to be laid over that: answers, files of the machine, and `customize.json`, which says what the
 * kernel must be told. What the answer format cannot express is refused here, not left out.
 *
 * @param name letters, digits, `.`, `_`, `+`, `-`.
 * @throws {ImgtaskError} IMG2311 for media of an unknown answer format, IMG2312 and IMG2313 for a machine that the
 * format cannot express, IMG2411 for an ISO whose answers lack a mirror.
 *
 * @example
 * ```ts
 * const media = download("debian", debian.installer({ release: "bookworm", arch: "x86_64" }));
 * const tree = customize("debian", { media: verify("debian", { media, trust: debian.keys }), machine: lab });
 * ```
 */
export function customize<const Name extends string>(name: Name, options: CustomizeOptions): Customized<Name> {
  checkCall("customize", name, options, fits);
  const { media } = options.media;
  const format = Object.hasOwn(formats, media.answers) ? formats[media.answers] : undefined;
  if (format === undefined) {
    throw new ImgtaskError("IMG2311", `Media "${media.id}" read answers in an unknown format`, {
      expected: Object.keys(formats).map((name) => `"${name}"`).join(" or "),
      found: JSON.stringify(media.answers),
      exitCode: ExitCode.usage,
    });
  }
  // Debian's installer finds them in the same place, be it on an ISO or not.
  const layout = media.kind === "iso" ? media.layout : null;
  const mirror = options.mirror ?? (media.kind === "package" ? media.package.archive.defaultMirror : undefined);
  const answers = format.answers(options.machine, {
    release: media.release,
    payload: placements[layout ?? "debian-cd"].payload,
    ...(mirror === undefined ? {} : { mirror }),
    ...(options.disk === undefined ? {} : { disk: options.disk }),
    ...(options.afterwards === undefined ? {} : { afterwards: options.afterwards }),
  });
  const declared = target(`customize:${name}`, {
    description: `Unattended installer of ${options.machine.hostname} from ${media.id}`,
    // What is laid over an ISO does not depend on the ISO.
    inputs: media.kind === "package" ? { media: options.media } : {},
    params: {
      answers: answers.files,
      format: media.answers,
      layout,
      packages: latePackages(options.machine, format.packages(options.machine)).late,
      machine: machineParams(options.machine),
      origins: options.machine.directories.map(({ list }) => originOf(list)),
    },
    secrets: machineSecrets(options.machine),
    tools: passwordTools(options.machine),
    outputs: { out: output("tree", "installer tree") },
    platform: media.arch,
    module: import.meta.url,
    run: build as unknown as () => Promise<void>,
  });
  return Object.freeze({ ...declared, media, verified: options.media });
}

type Build = RunContext<
  { readonly media?: Verified },
  {
    readonly answers: Readonly<Record<string, string>>;
    readonly format: AnswerFormat;
    readonly layout: IsoLayout | null;
    readonly packages: readonly string[];
    readonly machine: MachineParams;
    readonly origins: readonly string[];
  },
  { readonly out: OutputSpec },
  Secrets
>;

/** Sets modes and times of all that a directory holds. */
function settle(directory: string, epoch: number): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) settle(path, epoch);
    else {
      chmodSync(path, 0o644);
      utimesSync(path, epoch, epoch);
    }
  }
  chmodSync(directory, 0o755);
  utimesSync(directory, epoch, epoch);
}

async function build(context: Build): Promise<void> {
  const { inputs, params, outputs, epoch, log } = context;
  const write = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(outputs.out, path)), { recursive: true });
    writeFileSync(join(outputs.out, path), content);
  };
  const machine = await withPasswords(params.machine, context);
  const how = { origins: params.origins, epoch, packages: params.packages, format: params.format };
  const placement = placements[params.layout ?? "debian-cd"];
  const answers = Object.entries(params.answers);
  mkdirSync(outputs.out);
  for (const [path, text] of answers) write(`${placement.root}${path}`, text);
  let size: number;
  if (placement.initrd === undefined) {
    const files = payloadFiles(machine, how);
    for (const { name, content } of files) write(`${placement.directory}/${name}`, content);
    size = files.reduce((sum, { content }) => sum + content.length, 0);
  } else {
    const archive = cpio([...answers.map(([path, text]) => ({ path, mode: 0o644, content: Buffer.from(text) })), ...payload(machine, how)], epoch);
    write(placement.initrd, archive);
    size = archive.length;
  }
  if (inputs.media === undefined) {
    const customization: Json = { format: 1, layout: params.layout, arguments: placement.arguments, initrds: placement.initrd === undefined ? [] : [`/${placement.initrd}`] };
    write("customize.json", `${JSON.stringify(customization, null, 2)}\n`);
  } else {
    mkdirSync(join(outputs.out, "install"));
    copyFileSync(join(inputs.media, "linux"), join(outputs.out, "install/vmlinuz"));
    copyFileSync(join(inputs.media, "initrd.gz"), join(outputs.out, "install/initrd.gz"));
  }
  settle(outputs.out, epoch);
  log(`${answers.reduce((sum, [, text]) => sum + text.split("\n").length - 1, 0)} lines of answers, ${size} bytes for the machine`);
}
