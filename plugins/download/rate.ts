/**
 * How fast a transfer is, and how long it will take. Pure; is told the time.
 * @module
 */

/** Milliseconds over which the rate is taken. */
const window = 5000;

/** Measures a rate over the last seconds. */
export class Rate {
  readonly #seen: (readonly [time: number, bytes: number])[] = [];

  /** @param bytes that are there at `now`, in milliseconds. */
  note(bytes: number, now: number): void {
    this.#seen.push([now, bytes]);
    while (this.#seen.length > 2 && this.#seen[1]![0] <= now - window) this.#seen.shift();
  }

  /** Bytes a second; 0 until it can be told. */
  get rate(): number {
    const first = this.#seen[0], last = this.#seen.at(-1);
    if (first === undefined || last === undefined || last[0] <= first[0]) return 0;
    return Math.max(0, ((last[1] - first[1]) * 1000) / (last[0] - first[0]));
  }
}
