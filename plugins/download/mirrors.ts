/**
 * The mirrors of one file during one transfer: which of them are still worth asking. Fetches nothing.
 * @module
 */
import { ImgtaskError } from "../../lib/mod.ts";
import { gaveUp, type Subject } from "./failure.ts";
import { Interruption } from "./interruption.ts";
import type { Identity } from "./identity.ts";

/** Attempts in a row without a single new byte, and failed attempts altogether. */
const fruitless = 3, altogether = 100;

/** One place that has the file. */
export class Mirror {
  readonly subject: Subject;
  /** What it said of its file. */
  identity: Identity | undefined;
  /** Whether it answers requests for parts; `undefined` until it was seen. */
  ranges: boolean | undefined;
  /** What it has does not go with the bytes that are there already. */
  aside = false;
  /** Why it is not asked any more. */
  error: ImgtaskError | undefined;
  #idle = 0;
  #failures = 0;

  constructor(subject: Subject) {
    this.subject = subject;
  }

  get url(): string {
    return this.subject.url;
  }

  /** Whether it may be asked for bytes that go with those that are there. */
  get usable(): boolean {
    return this.error === undefined && !this.aside;
  }

  /** Attempts in a row that brought nothing. */
  get idle(): number {
    return this.#idle;
  }

  /**
   * Notes that an attempt failed, and gives up on the mirror when it is no use.
   *
   * @param bytes that are there now. @param gained whether the attempt brought some.
   */
  failed(error: Interruption | ImgtaskError, bytes: number, gained: boolean): void {
    if (error instanceof ImgtaskError) {
      this.error = error;
      return;
    }
    // What drips would go on for ever if each drop counted.
    this.#idle = gained && error.reason !== "slow" ? 1 : this.#idle + 1;
    this.#failures++;
    if (this.#idle >= fruitless || this.#failures >= altogether) this.error = gaveUp(this.subject, bytes, error, this.#failures);
  }

  /** Notes that an attempt brought what it should. */
  succeeded(): void {
    this.#idle = 0;
  }
}
