/**
 * The history of a project as metrics for Prometheus, in its text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure.
 * @module
 */
import { addUp, type Entry } from "./history.ts";

/** A metric: name, type and help as Prometheus has them, and its samples. */
interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

function label(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')}"`;
}

function written({ name, type, help, samples }: Metric): string {
  const rows = samples.map(({ labels, value }) => `${name}{${Object.entries(labels).map(([key, one]) => `${key}=${label(one)}`).join(",")}} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${rows.join("")}`;
}

/** By code unit, so that the same history always gives the same text. */
const byName = (a: Entry, b: Entry): number => (a.target < b.target ? -1 : a.target > b.target ? 1 : a.outcome < b.outcome ? -1 : 1);

/**
 * The metrics of a project: runs and seconds by target and outcome, and of the last good run time, duration and size.
 * The share of good runs follows from the first: `imgtask_target_runs_total{outcome="done"}` over all.
 *
 * @param project a name for the project; a label of every sample.
 *
 * @example
 * ```text
 * imgtask_target_runs_total{project="lab",target="disk:debian",outcome="done"} 12
 * ```
 */
export function metricsText(history: readonly Entry[], project: string): string {
  const sums = [...addUp(history)].sort(byName);
  const good = sums.filter(({ outcome }) => outcome === "done");
  const newest = new Map(history.filter(({ outcome, runs = 1 }) => outcome === "done" && runs === 1).map((entry) => [entry.target, entry]));
  const of = (entries: readonly Entry[], value: (entry: Entry) => number, withOutcome: boolean): Metric["samples"] =>
    entries.map((entry) => ({ labels: { project, target: entry.target, ...(withOutcome ? { outcome: entry.outcome } : {}) }, value: value(entry) }));
  const last = good.flatMap(({ target }) => newest.get(target) ?? []);
  const metrics: readonly Metric[] = [
    { name: "imgtask_target_runs_total", type: "counter", help: "Runs of a target by outcome: done or failed.", samples: of(sums, ({ runs = 1 }) => runs, true) },
    { name: "imgtask_target_run_seconds_total", type: "counter", help: "Seconds that runs of a target took, by outcome.", samples: of(sums, ({ duration }) => duration / 1000, true) },
    { name: "imgtask_target_last_success_timestamp_seconds", type: "gauge", help: "When a target was last made, in seconds since 1970.", samples: of(good, ({ time }) => time / 1000, false) },
    { name: "imgtask_target_last_duration_seconds", type: "gauge", help: "Seconds that the last good run of a target took.", samples: of(last, ({ duration }) => duration / 1000, false) },
    { name: "imgtask_target_output_bytes", type: "gauge", help: "Bytes of all outputs of a target, as last made.", samples: of(good, ({ size = 0 }) => size, false) },
  ];
  return metrics.map(written).join("");
}
