/**
 * What `target()` takes, and whether it is that: an imagefile is run without a type checker having read it. Declares only.
 * @module
 */
import type { OutputSpec } from "./artifact.ts";
import type { AskNotices, Inputs, Outputs, Params, PinSpec, RunContext, Untracked } from "./context.ts";
import * as fit from "./fit.ts";
import { checkNames, checkOptions, type Fits } from "./option.ts";
import { resourceNames, type Resources } from "./resources.ts";
import type { Retries } from "./retry.ts";
import type { Secrets } from "./secret.ts";
import type { Requirement } from "./tool.ts";

/** What `target()` takes. */
export interface TargetSpec<I extends Inputs, P extends Params, O extends Outputs, S extends Secrets = {}> {
  /** One line for `imgtask list`. */
  readonly description?: string;
  /** What it reads. @default {} */
  readonly inputs?: I;
  /** Values the recipe depends on. @default {} */
  readonly params?: P;
  /** Names of environment variables the recipe may read; their values are part of the fingerprint. @default [] */
  readonly env?: readonly string[];
  /**
   * Values that only the recipe gets: they enter no fingerprint, log, record or output. Where they are and their
   * `version` are part of the fingerprint. @default {}
   */
  readonly secrets?: S;
  /** What it needs from the host. @default [] */
  readonly tools?: readonly Requirement[];
  /** What it makes. */
  readonly outputs: O;
  /** Architecture of what it makes, as of `plugins/arch`. */
  readonly platform?: string;
  /** What it takes of the host while it runs. No part of the fingerprint. @default { cpu: 1 } */
  readonly resources?: Resources;
  /** Milliseconds after which an attempt is ended and fails. No part of the fingerprint. @default none */
  readonly timeout?: number;
  /** How often it is tried again after a temporary failure of the network. No part of the fingerprint. @default never */
  readonly retries?: Retries;
  /**
   * What it uses on purpose beside inputs and outputs, and that its result does not depend on: where to find a
   * mirror, a proxy, a key that is kept, a directory to publish to. Paths are below the directory of the imagefile, or absolute.
   * Not part of the fingerprint; only `run --audit` looks at the places. @default nothing
   */
  readonly untracked?: Untracked;
  /**
   * Whether its log is for some eyes only: shown nowhere, and encrypted with age at the end of the run, for the
   * recipients in `IMGTASK_LOG_RECIPIENTS`. No part of the fingerprint. @default false
   */
  readonly sensitive?: boolean;
  /**
   * Files that the recipe makes beside its outputs and that stay where they are, as a private key: while one of them is
   * missing, the target is stale. What is in them is no part of the fingerprint, and of no record. Below the directory of
   * the imagefile, or absolute. @default none
   */
  readonly keeps?: readonly string[];
  /** Its entry in `imgtask.lock`: part of the fingerprint, and given to the recipe, which may change it. @default none */
  readonly pin?: PinSpec;
  /** Asks which security notices concern what it makes, for `imgtask outdated`. No part of the fingerprint. @default nobody is asked */
  readonly notices?: AskNotices;
  /**
   * Secrets for `pin.resolve` and `notices`, which ask outside a run. The recipe gets none of them, and they are no part of
   * the fingerprint. @default {}
   */
  readonly asks?: Secrets;
  /** For plugins: `import.meta.url` of the recipe's module. @default the imagefile and the modules it imports */
  readonly module?: string;
  /** Makes the outputs. Runs only when the fingerprint changed. */
  readonly run: (context: RunContext<I, P, O, S>) => Promise<void> | void;
}

const requirement = fit.by("a tool or a file", (value) => fit.isObject(value) && (value["type"] === "tool" || value["type"] === "host file"));
const form = fit.word("file", "tree");

const fits: Fits<TargetSpec<Inputs, Params, Outputs, Secrets>> = {
  description: fit.text,
  inputs: fit.record,
  params: fit.anything,
  env: fit.listOf(fit.text, "a list of names of variables"),
  secrets: fit.record,
  tools: fit.listOf(requirement, "a list of what tool() and hostFile() give"),
  outputs: fit.needed(fit.record),
  platform: fit.text,
  resources: fit.record,
  timeout: fit.anything,
  retries: fit.record,
  untracked: fit.record,
  sensitive: fit.flag,
  keeps: fit.listOf(fit.text, "a list of paths"),
  pin: fit.record,
  asks: fit.record,
  notices: fit.callable,
  module: fit.text,
  run: fit.needed(fit.callable),
};
const outputFits: Fits<OutputSpec> = { form: fit.needed(form), type: fit.needed(fit.text), path: fit.text, merge: fit.flag, tellsOfRun: fit.flag };
const untrackedFits: Fits<Untracked> = { env: fit.texts, reads: fit.texts, writes: fit.texts };
const pinFits: Fits<PinSpec> = { entry: fit.needed(fit.text), fields: fit.needed(fit.texts), resolve: fit.callable };
const retryNames = ["times", "delay", "limit"] as const satisfies readonly (keyof Retries)[];

/**
 * Refuses what is no specification of a target. What its values say is looked at by who reads them.
 *
 * @param call what people call it: `target("iso:kali")`.
 * @throws {ImgtaskError} IMG2040
 */
export function checkSpec(call: string, spec: unknown): void {
  checkOptions(call, spec, fits);
  const { outputs, secrets = {}, asks = {}, resources, retries, untracked, pin } = spec as TargetSpec<Inputs, Params, Outputs, Secrets>;
  for (const [name, value] of Object.entries(outputs)) {
    const named: string = `Output "${name}" of ${call}`;
    if (fit.isObject(value)) checkOptions(named, value, outputFits);
    else checkOptions(`"outputs" of ${call}`, { [name]: value }, { [name]: fit.by(`"file", "tree", or what output() gives`, form.fits) });
  }
  for (const [part, handles] of [["secrets", secrets], ["asks", asks]] as const) {
    checkOptions(`"${part}" of ${call}`, handles, Object.fromEntries(Object.keys(handles).map((name) => [name, fit.needed(fit.secretHandle)])));
  }
  if (resources !== undefined) checkNames(`"resources" of ${call}`, resources, resourceNames);
  if (retries !== undefined) checkNames(`"retries" of ${call}`, retries, retryNames);
  if (untracked !== undefined) checkOptions(`"untracked" of ${call}`, untracked, untrackedFits);
  if (pin !== undefined) checkOptions(`"pin" of ${call}`, pin, pinFits);
}
