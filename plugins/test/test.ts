/**
 * The kind `test`: boots an image in an emulator and looks at it from outside, as its users will.
 * Knows no distribution.
 * @module
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkCall, checkNames, type DirectoryList, fit, type Fits, ImgtaskError, type Input, type Json, output, type OutputSpec, type Producer, type Resolved, type RunContext, type Secret, type Target, target, tool, type Tool } from "../../lib/mod.ts";
import { archOf } from "../arch/mod.ts";
import { originOf } from "../dirs/dirs.ts";
import { parseDirectories } from "../dirs/parse.ts";
import { accelerationFor, probeMemory } from "./accel.ts";
import { emulatorFault } from "./emulator-fault.ts";
import { bad, checkRest, type ConsoleExpectation, expectationKeys, needsLogin, type Probed, probedOf, probesOf, type SystemExpectation, whole } from "./expectation.ts";
import type { ExpectedDirectories, ExpectedFile, Questions } from "./guest.ts";
import { judge, readAnswers, script } from "./guest.ts";
import { type DiskType, inspectImage } from "./image.ts";
import { machineTools, powerOn, type Running } from "./machine.ts";
import { type Check, junit } from "./report.ts";
import { type Pattern, showPattern, toPattern } from "./serial.ts";
import { runOverSerial } from "./serial-session.ts";
import { banner, borrowKey, offeredMethods, runScript } from "./ssh.ts";

declare const refused: unique symbol;
/** A type that nothing has; its text is what the compiler shows. */
export interface Refused<Why extends string> {
  readonly [refused]: Why;
}

/** How the test comes into the machine. Account; `sudo` without a password lets it look at what only root can see. */
export type Login =
  | {
    readonly user: string;
    /** @default "ssh" */
    readonly over?: "ssh";
    /** Private key, relative to the imagefile's directory, as `keypair(…).identity`. */
    readonly identity: string;
  }
  | {
    readonly user: string;
    /** By the serial console, for images without an SSH server or network. */
    readonly over: "serial";
    /** What opens the account; it is typed, and stands in no command line, log or record. */
    readonly password: Secret;
  };

/** What `test()` takes. */
export interface TestOptions<Type extends DiskType | "iso", Image extends string = string> {
  /**
   * A disk, in any format that `convert()` makes, or an installer ISO (put into the CD drive of a machine without a disk).
   * It is never written to.
   */
  readonly image: Producer<Type> & { readonly arch: string; readonly name: Image };
  /** @default "bios" where the architecture has one (x86_64), otherwise "uefi" */
  readonly firmware?: "bios" | "uefi";
  /**
   * Disk and network of the machine: virtio, or those of VMware (PVSCSI, VMXNET3) on a PC: whether the image has drivers for them.
   * @default "virtio"
   */
  readonly devices?: Type extends DiskType ? "virtio" | "vmware" : Refused<"an installer ISO has no disk: leave it out">;
  /** MiB. @default 1024 */
  readonly memory?: number;
  /** @default 2 */
  readonly cpus?: number;
  /** Seconds for all of it, from power-on. @default 300 */
  readonly timeout?: number;
  /** Data for cloud-init, `seed()`: a second disk, which cannot be written to. @default none */
  readonly seed?: Type extends "iso" ? Refused<"an installer ISO has no cloud-init: leave it out"> : Input<"seed">;
  readonly login?: Type extends DiskType ? Login : Refused<"an installer ISO has no login: leave it out">;
  readonly expect: Type extends DiskType ? SystemExpectation : ConsoleExpectation;
}

const bootable = fit.made(Object.keys({ iso: 0, disk: 0, vmdk: 0, "vmdk directory": 0, vhdx: 0, vhd: 0, ova: 0 } satisfies Readonly<Record<DiskType | "iso", 0>>), "");
const fits: Fits<TestOptions<DiskType>> = {
  image: fit.needed(fit.by("an ISO or a disk with its architecture, as iso() and disk() give them", (value) => bootable.fits(value) && typeof (value as { readonly arch?: unknown }).arch === "string")),
  firmware: fit.word("bios", "uefi"),
  devices: fit.word("virtio", "vmware"),
  memory: fit.number,
  cpus: fit.number,
  timeout: fit.number,
  seed: fit.made(["seed"], "a seed, as seed() gives it"),
  login: fit.record,
  expect: fit.needed(fit.record),
};

/** What a test leaves behind, below `artifacts/test/NAME/`. */
export type TestOutputs = {
  /** JUnit XML, one case for each thing looked at: `junit.xml`. */
  readonly out: OutputSpec<"test report">;
  /** Everything from the serial console, as it came: `console.log`. */
  readonly console: OutputSpec<"console log">;
  /** The screen at the end, PNG: `screen.png`. */
  readonly screenshot: OutputSpec<"screenshot">;
};

/** A boot test, and the name of the target whose image it boots. */
export type Test<Name extends string = string, Image extends string = string> = Target<`test:${Name}`, TestOutputs> & { readonly boots: Image };

const ssh: Tool = tool("ssh", { versionArgs: ["-V"], versionPattern: /OpenSSH_(\d+(?:\.\d+)+)/, packages: { apt: "openssh-client", dnf: "openssh-clients" } });

const tar: Tool = tool("tar", { packages: { apt: "tar", dnf: "tar" } });

function checkLogin(name: string, login: Login | undefined, expect: SystemExpectation): void {
  const inside = needsLogin(expect);
  if (login === undefined && inside.length > 0) throw bad(name, "expectation", inside, "a `login`, by which these can be looked at");
  if (inside.length === 0 && (expect.console ?? []).length === 0 && login === undefined) throw bad(name, "expectation", expect, "at least one thing to look for");
  if (login === undefined) return;
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(login.user)) throw bad(name, "user", login.user, "a login name");
  if (login.over === "serial") {
    if (expect.ssh !== undefined) throw bad(name, "expectation", ["ssh"], "a login over SSH, by which that can be looked at");
  } else if (login.identity === "" || login.identity.startsWith("/") || login.identity.split("/").includes("..")) throw bad(name, "identity", login.identity, "a path below the imagefile's directory");
}

interface Params {
  readonly name: string;
  readonly medium: DiskType | "iso";
  readonly arch: string;
  readonly firmware: "bios" | "uefi";
  readonly devices?: "vmware";
  readonly memory: number;
  readonly cpus: number;
  readonly timeout: number;
  readonly login?: { readonly user: string; readonly over: "ssh"; readonly identity: string } | { readonly user: string; readonly over: "serial" };
  readonly console: readonly Pattern[];
  readonly ssh?: { readonly passwordLogin: boolean };
  readonly probed: Probed;
  readonly files: readonly ExpectedFile[];
  readonly directories?: { readonly list: Resolved<DirectoryList>; readonly from: string; readonly sample: "all" | number };
  readonly commands: readonly { readonly run: readonly string[]; readonly stdout?: Pattern; readonly exit: number }[];
}

/**
 * Boots an image in QEMU (KVM where it works, otherwise TCG) without writing to it, and checks what it does.
 * When it fails, the console log, the screenshot and the report are in `logs/test-NAME/`.
 *
 * @throws {ImgtaskError} IMG2501 for options that make no sense, IMG3501 for an image that is not booted for
 * safety's sake, IMG3502 when the emulator fails, IMG3503 when the console does not show what it should, IMG3504
 * for a kernel panic, IMG3505 when SSH lets nobody in, IMG3506 when the system is not as expected.
 *
 * @example
 * ```ts
 * test("debian", {
 *   image: debianDisk,
 *   login: { user: "devops", identity: "keys/id_ed25519" },
 *   expect: { console: ["login:"], ssh: { passwordLogin: false }, services: ["ssh", "chrony"] },
 * });
 * ```
 */
export function test<const Name extends string, Type extends DiskType | "iso", const Image extends string = string>(name: Name, options: TestOptions<Type, Image>): Test<Name, Image> {
  checkCall("test", name, options, fits);
  checkNames(`"expect" of test("${name}")`, options.expect, expectationKeys);
  const arch = archOf(options.image.arch);
  const firmware = options.firmware ?? (arch.grub.bios === undefined ? "uefi" : "bios");
  if (firmware === "bios" && arch.grub.bios === undefined) throw bad(name, "firmware", firmware, `"uefi": ${arch.name} has no BIOS`);
  const expect: SystemExpectation = options.expect;
  const login = options.login as Login | undefined;
  const medium = options.image.outputs.out.type;
  if (medium === "iso" && login !== undefined) throw bad(name, "login", login, "none: an installer ISO has no login");
  const seed = options.seed as Input<"seed"> | undefined;
  if (medium === "iso" && seed !== undefined) throw bad(name, "seed", "a seed", "none: an installer ISO has no cloud-init");
  checkLogin(name, login, expect);
  checkRest(name, expect);
  const devices = options.devices as "virtio" | "vmware" | undefined;
  if (devices === "vmware" && (medium === "iso" || arch.grub.bios === undefined)) throw bad(name, "devices", devices, `"virtio": only disks of PCs are on VMware`);
  const cpus = whole(name, "cpus", options.cpus ?? 2, 1, 64);
  const memory = whole(name, "memory", options.memory ?? 1024, 64, 1 << 20);
  const { directories } = expect;
  const list = directories?.list.list;
  const { code, vars } = arch.qemu.firmware;
  const spec = {
    out: output("file", "test report", { path: `artifacts/test/${name}/junit.xml` }),
    console: output("file", "console log", { path: `artifacts/test/${name}/console.log` }),
    screenshot: output("file", "screenshot", { path: `artifacts/test/${name}/screen.png` }),
  } satisfies TestOutputs;
  const declared = target(`test:${name}`, {
    description: `Boots ${options.image.outputs.out.target} (${arch.name}, ${firmware}) and checks it`,
    module: import.meta.url,
    platform: arch.name,
    inputs: { image: options.image.outputs.out, ...(seed === undefined ? {} : { seed }) },
    params: {
      name,
      medium,
      arch: arch.name,
      firmware,
      ...(devices === "vmware" ? { devices } : {}),
      memory,
      cpus,
      timeout: whole(name, "timeout", options.timeout ?? 300, 1, 86_400),
      ...(login === undefined ? {} : { login: login.over === "serial" ? { user: login.user, over: "serial" } : { user: login.user, over: "ssh", identity: login.identity } }),
      console: (expect.console ?? []).map(toPattern),
      ...(expect.ssh === undefined ? {} : { ssh: { passwordLogin: expect.ssh.passwordLogin } }),
      probed: probedOf(name, expect) as unknown as Json,
      files: (expect.files ?? []).map((file) => ({ ...file })),
      ...(directories === undefined || list === undefined ? {} : {
        directories: { list: { ...directories.list }, from: originOf(list), sample: directories.sample ?? "all" },
      }),
      commands: (expect.commands ?? []).map((command) => ({
        run: command.run,
        ...(command.stdout === undefined ? {} : { stdout: toPattern(command.stdout) }),
        exit: command.exit ?? 0,
      })),
    },
    tools: [arch.qemu.system, ...machineTools, ...(medium === "ova" ? [tar] : []), ...(firmware === "uefi" ? [code, vars] : []), ...(login === undefined || login.over === "serial" ? [] : [ssh])],
    ...(login?.over === "serial" ? { secrets: { password: login.password } } : {}),
    outputs: spec,
    // Where a failed test is looked into, and the key by which the machine is entered.
    // The network libraries of the emulator look for names of traffic classes, which it has no use for.
    untracked: { writes: [`logs/test-${name}`, probeMemory], reads: ["/etc/libnl"].concat(login === undefined || login.over === "serial" ? [] : [login.identity]) },
    resources: { cpu: cpus, memory: memory * 1024 ** 2, kvm: true },
    run: (context) => bootAndCheck(context as unknown as Context),
  }) as Target<`test:${Name}`, TestOutputs>;
  return Object.freeze({ ...declared, boots: options.image.name });
}

export type { ConsoleExpectation, SystemExpectation } from "./expectation.ts";

type Context = Omit<RunContext, "inputs" | "params" | "outputs" | "secrets"> & {
  readonly secrets: { readonly password?: string };
  readonly inputs: { readonly image: string; readonly seed?: string };
  readonly params: Params;
  readonly outputs: Readonly<Record<keyof TestOutputs, string>>;
};

function directoriesOf({ list, from, sample }: NonNullable<Params["directories"]>): ExpectedDirectories {
  const all = parseDirectories(readFileSync(list.list, "utf8"), from).map((path) => `${list.under}/${path}`);
  const paths = sample === "all" || sample >= all.length ? all : Array.from({ length: sample }, (_, index) => all[Math.floor((index * all.length) / sample)]!);
  return { name: from, paths, mode: list.mode, owner: list.owner, group: list.group };
}

/** Looks at everything in turn; what cannot be reached any more is skipped. */
async function look(machine: Running, questions: Questions, context: Context, deadline: number): Promise<readonly Check[]> {
  const { params, signal } = context;
  const checks: Check[] = [];
  let reachable = true;
  const timed = async (name: string, one: () => Promise<Omit<Check, "name" | "seconds">>): Promise<void> => {
    if (!reachable) return void checks.push({ name, outcome: "skipped" });
    context.progress(name);
    const start = Date.now();
    const result = await one();
    checks.push({ name, ...result, seconds: (Date.now() - start) / 1000 });
    reachable = result.outcome === "passed";
  };
  const why = (): string => machine.ended() === undefined ? `nothing of it after ${params.timeout} s` : `the machine stopped: ${machine.ended()}`;
  for (const pattern of params.console) {
    await timed(`console shows ${showPattern(pattern)}`, async () => {
      const result = await machine.console.expect(pattern, deadline, signal);
      if (result.outcome === "seen") return { outcome: "passed" };
      return result.outcome === "panic"
        ? { outcome: "failed", code: "IMG3504", expected: showPattern(pattern), found: result.text }
        : { outcome: "failed", code: "IMG3503", expected: `${showPattern(pattern)} on the serial console`, found: why() };
    });
  }
  const { login } = params;
  if (login === undefined) return checks;
  let inside: readonly Check[] = judge(questions, readAnswers("")).map(({ name }) => ({ name, outcome: "skipped" }));
  // The guest gets most of the time that is left to finish its boot.
  const patience = (): number => Math.max(5, Math.floor((deadline - Date.now()) / 1000) - 15);
  const take = (result: { readonly stdout: string } | { readonly refused: string }, expected: string): Omit<Check, "name" | "seconds"> => {
    if ("refused" in result) return { outcome: "failed", code: "IMG3505", expected, found: result.refused };
    const answers = readAnswers(result.stdout);
    if (!answers.complete) return { outcome: "failed", code: "IMG3505", expected: "a session that lasts until all is looked at", found: `it ended early, after: ${result.stdout.slice(-400)}` };
    inside = judge(questions, answers);
    return { outcome: "passed" };
  };
  if (login.over === "serial") {
    const { password = "" } = context.secrets;
    await timed(`password opens a session for "${login.user}" on the serial console`, async () =>
      take(await runOverSerial(machine, { user: login.user, password, deadline, signal }, script(questions, patience())), `a session for "${login.user}"`));
    return [...checks, ...inside];
  }
  await timed("SSH server answers", async () => {
    const found = await banner(machine.sshPort, deadline, signal, () => machine.ended() !== undefined);
    return found === undefined ? { outcome: "failed", code: "IMG3505", expected: "an SSH server on port 22 of the guest", found: why() } : { outcome: "passed" };
  });
  const door = { port: machine.sshPort, user: login.user };
  await timed(`key opens a session for "${login.user}"`, async () =>
    take(await runScript({ ...door, identity: borrowKey(login.identity, context) }, script(questions, patience()), context, deadline), `a session for "${login.user}" with the key "${login.identity}"`));
  checks.push(...inside);
  if (params.ssh === undefined) return checks;
  const { passwordLogin } = params.ssh;
  // Last: a server may shut out for a while who fails to log in.
  const answering = reachable || inside.some((check) => check.outcome !== "skipped");
  for (const user of passwordLogin || login.user === "root" ? [login.user] : [login.user, "root"]) {
    reachable = answering; // One user's answer says nothing about another's.
    await timed(`password login is ${passwordLogin ? "offered" : "refused"} to "${user}"`, async () => {
      const result = await offeredMethods({ ...door, user }, context, deadline);
      const byPassword = "methods" in result && result.methods.some((method) => ["password", "keyboard-interactive", "none"].includes(method));
      if ("methods" in result && byPassword === passwordLogin) return { outcome: "passed" };
      const found = "methods" in result ? `the server offers: ${result.methods.join(", ")}` : result.unknown;
      return { outcome: "failed", code: "IMG3506", expected: passwordLogin ? "password" : "neither password nor keyboard-interactive", found };
    });
  }
  return checks;
}

/** Puts what tells why a test failed where it outlives the run; a run that fails leaves no outputs. */
function keep(context: Context): string {
  const place = `logs/test-${context.params.name}`;
  const directory = join(context.project, place);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const names = { out: "junit.xml", console: "console.log", screenshot: "screen.png" } as const;
  for (const key of ["out", "console", "screenshot"] as const) if (existsSync(context.outputs[key])) copyFileSync(context.outputs[key], join(directory, names[key]));
  return place;
}

async function bootAndCheck(context: Context): Promise<void> {
  const { params, inputs, outputs, signal } = context;
  const arch = archOf(params.arch);
  const medium = params.medium === "iso" ? { type: "iso" as const, path: inputs.image } : { type: "disk" as const, ...(await inspectImage(inputs.image, params.medium, context)) };
  const acceleration = await accelerationFor(arch, context);
  context.log(`Booting with ${acceleration.kind.toUpperCase()}: ${acceleration.reason}`);
  // Before the boot: a bad list need not wait for it.
  const questions: Questions = {
    probes: probesOf(params.probed),
    files: params.files,
    directories: params.directories === undefined ? [] : [directoriesOf(params.directories)],
    commands: params.commands,
  };
  const { firmware, devices, memory, cpus, timeout } = params;
  let deadline: number | undefined;
  let machine: Running, checks: readonly Check[], without: string | undefined;
  for (let attempt = 1;; attempt++) {
    machine = await powerOn({ arch, acceleration, without, medium, seed: inputs.seed, devices, firmware, memory, cpus, limit: timeout, consoleLog: outputs.console }, context);
    deadline ??= machine.started + timeout * 1000;
    try {
      checks = await look(machine, questions, context, deadline);
      await machine.screenshot(outputs.screenshot).catch((error: Error) => context.log(`No screenshot: ${error.message}`));
    } catch (error) {
      if (!signal.aborted) await machine.screenshot(outputs.screenshot).catch(() => {});
      await machine.stop();
      context.log(`Console log: ${keep(context)}/console.log`);
      throw error;
    } finally {
      await machine.stop();
    }
    const fault = acceleration.kind === "kvm" || attempt === 3 ? undefined : emulatorFault(machine.console.text);
    if (fault === undefined || checks.every(({ outcome }) => outcome !== "failed")) break;
    ({ without } = fault);
    context.log(`${fault.says}: powering on again${without === undefined ? "" : `, without ${without}`}`);
  }
  const seconds = (Date.now() - machine.started) / 1000;
  const tail = machine.console.tail(20);
  writeFileSync(outputs.out, junit({ target: context.target, seconds, checks, console: tail }));
  for (const check of checks) context.log(`${check.outcome}: ${check.name}${check.seconds === undefined ? "" : ` (${check.seconds.toFixed(1)} s)`}`);
  const failed = checks.filter((check) => check.outcome === "failed");
  const first = failed[0];
  if (first === undefined) return;
  const place = keep(context);
  const others = failed.slice(1).map((check) => `; also failed: ${check.name}: expected ${check.expected}, found ${check.found}`).join("");
  throw new ImgtaskError(first.code ?? "IMG3506", `Boot test failed: ${first.name}${failed.length > 1 ? ` (and ${failed.length - 1} more)` : ""}`, {
    expected: first.expected ?? "",
    found: `${first.found ?? ""}${others}\nlast lines of the console:\n${tail.map((line) => `  ${line}`).join("\n")}`,
    hint: `Console log, screenshot and report are in ${place}/`,
  });
}
