/**
 * A target's way to its entry in the lock file: what is pinned, what its run proposes and accepts. Writes nothing.
 * @module
 */
import type { PinAccess } from "./context.ts";
import { ExitCode, ImgtaskError } from "./error.ts";
import { isPin, type LockEntry, lockFileName, type Pin } from "./lock-file.ts";
import type { Declaration } from "./target.ts";

/** What a recipe said of its entry. */
export interface Pinning {
  readonly access: PinAccess | undefined;
  /** What is to be written. */
  accepted(): Pin | undefined;
  /** What the result is one of, if it is accepted. */
  proposed(): Pin | undefined;
}

/**
 * A target's entry for one run.
 *
 * @param frozen nothing may be pinned that is not.
 * @throws {ImgtaskError} IMG2652, exit code 5, also by what the recipe calls: the lock file would change and must not.
 */
export function pinningOf({ name, pin: declared, location }: Declaration, entry: Pin | undefined, frozen: boolean): Pinning {
  let accepted: Pin | undefined, proposed: Pin | undefined;
  const refuse = (found: string): ImgtaskError =>
    new ImgtaskError("IMG2652", `"${name}" would change ${lockFileName}`, {
      expected: `a pin of "${declared!.entry}" that holds, since --frozen is given`,
      found,
      hint: `Run once without --frozen, look at what changed in ${lockFileName}, and commit it`,
      exitCode: ExitCode.wouldChange,
      ...(location === undefined ? {} : { location }),
    });
  if (declared !== undefined && frozen && entry === undefined) throw refuse("none");
  const access: PinAccess = Object.freeze({
    entry,
    propose: (pin: Pin) => {
      proposed = pin;
    },
    accept: (pin: Pin) => {
      if (frozen) throw refuse("one that does not fit the imagefile");
      accepted = pin;
    },
  });
  return { access: declared === undefined ? undefined : access, accepted: () => accepted, proposed: () => proposed };
}

/** Whether something else would be pinned than is. */
export function differs(pinned: LockEntry | undefined, newest: LockEntry): boolean {
  if (!isPin(pinned)) return true;
  return isPin(newest) ? newest.sha256 !== pinned.sha256 || newest.path !== pinned.path : newest.list?.version !== pinned.version;
}
