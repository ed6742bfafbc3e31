/**
 * The commands of one recipe, as long as they run: none of them outlives it. A recipe that ends before one has outputs by
 * chance; one that failed is not followed by others of its commands. Knows neither outputs nor processes.
 * @module
 */
import { setMaxListeners } from "node:events";
import { ImgtaskError } from "./error.ts";

/** Commands that a recipe has started. */
export class Commands {
  readonly #signal: AbortSignal;
  readonly #end = new AbortController();
  readonly #pass = (): void => this.#end.abort(this.#signal.reason);
  #over = false;
  readonly #running = new Map<Promise<unknown>, string>();

  /** @param signal aborts when the run is to end. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    // One a command, and any number of these at once.
    setMaxListeners(0, this.#end.signal);
  }

  /** Starts one, with the signal that ends it. Awaits it itself, so that the stack of its error reaches back to the recipe. */
  async run<Result>(name: string, start: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#running.size === 0) this.#signal.addEventListener("abort", this.#pass, { once: true });
    if (this.#signal.aborted) this.#pass();
    const running = start(this.#end.signal);
    this.#running.set(running, name);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      if (this.#running.size === 0) this.#signal.removeEventListener("abort", this.#pass);
      // Once the recipe is over, nobody is told: what is ended then would be one more failure that nothing waits for.
      if (this.#over) await new Promise<never>(() => {});
    }
  }

  /** Ends what still runs, and waits until it has ended. */
  async end(): Promise<void> {
    this.#over = true;
    if (this.#running.size === 0) return;
    this.#end.abort();
    await Promise.allSettled(this.#running.keys());
  }

  /** Ends what still runs after a recipe. @throws {ImgtaskError} IMG3022 when there was any. */
  async finish(target: string): Promise<void> {
    const [name] = this.#running.values();
    await this.end();
    if (name === undefined) return;
    throw new ImgtaskError("IMG3022", `The recipe of "${target}" ended while "${name}" still ran: nothing waited for it`, {
      expected: "every command to be waited for",
      hint: "Write `await exec(…)`, or `await Promise.all([exec(…), exec(…)])`",
    });
  }
}
