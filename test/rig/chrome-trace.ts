/**
 * A strict check of a trace in Chrome's format (the "Trace Event Format" document): every field of every phase that
 * imgtask writes, times that only go forward, and spans of one track that are nested or apart.
 * @module
 */
import assert from "node:assert/strict";

/** An event of a trace. */
export interface TraceEvent {
  readonly name: string;
  readonly cat?: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur?: number;
  readonly pid: number;
  readonly tid: number;
  readonly s?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What each phase has beside name, ph, ts, pid, tid and args. */
const fields: Readonly<Record<string, readonly string[]>> = { X: ["cat", "dur"], M: [], C: [], i: ["cat", "s"] };
const metadata: Readonly<Record<string, string>> = { process_name: "name", thread_name: "name", process_sort_index: "sort_index" };

/** Refuses whatever is not a trace; gives its events, metadata aside. */
export function checkTrace(text: string): readonly TraceEvent[] {
  const trace = JSON.parse(text) as { readonly displayTimeUnit: string; readonly traceEvents: readonly TraceEvent[] };
  assert.deepEqual(Object.keys(trace).sort(), ["displayTimeUnit", "traceEvents"]);
  assert.equal(trace.displayTimeUnit, "ms");
  const events: TraceEvent[] = [];
  const named = new Set<string>();
  let last = 0;
  for (const event of trace.traceEvents) {
    const about = JSON.stringify(event);
    const own = fields[event.ph];
    assert.ok(own !== undefined, `unknown phase: ${about}`);
    assert.deepEqual(Object.keys(event).sort(), ["args", "name", "ph", "pid", "tid", "ts", ...own].sort(), about);
    assert.ok(typeof event.name === "string" && event.name !== "", about);
    for (const number of [event.ts, event.pid, event.tid]) assert.ok(Number.isSafeInteger(number) && number >= 0, about);
    assert.ok(typeof event.args === "object" && event.args !== null && !Array.isArray(event.args), about);
    if (event.ph === "M") {
      const key = metadata[event.name];
      assert.ok(key !== undefined && typeof event.args[key] === (key === "name" ? "string" : "number"), about);
      if (event.name !== "process_sort_index") named.add(event.name === "process_name" ? `${event.pid}` : `${event.pid} ${event.tid}`);
      continue;
    }
    assert.ok(event.ts >= last, `goes back: ${about}`);
    last = event.ts;
    if (event.ph === "X") {
      assert.ok(Number.isSafeInteger(event.dur) && event.dur! >= 0, about);
      assert.ok(named.has(`${event.pid}`) && named.has(`${event.pid} ${event.tid}`), `on a track without a name: ${about}`);
    }
    if (event.ph === "C") assert.ok(Object.values(event.args).length > 0 && Object.values(event.args).every((value) => typeof value === "number" && Number.isFinite(value) && value >= 0), about);
    if (event.ph === "i") assert.ok(["g", "p", "t"].includes(event.s!), about);
    events.push(event);
  }
  checkNesting(events.filter(({ ph }) => ph === "X"));
  return events;
}

/** Refuses spans of one track that overlap without one being within the other. */
function checkNesting(spans: readonly TraceEvent[]): void {
  const tracks = new Map<string, { readonly name: string; readonly end: number }[]>();
  for (const { name, ts, dur, pid, tid } of spans) {
    const key = `${pid} ${tid}`;
    const open = tracks.get(key) ?? [];
    tracks.set(key, open);
    while (open.length > 0 && open.at(-1)!.end <= ts) open.pop();
    const around = open.at(-1);
    assert.ok(around === undefined || ts + dur! <= around.end, `"${name}" goes beyond "${around?.name}", in which it begins`);
    open.push({ name, end: ts + dur! });
  }
}
