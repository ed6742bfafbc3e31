/**
 * A dashboard for Grafana over the metrics of `imgtask metrics`: how often builds succeed, how long they take, how large
 * images are. Data in Grafana's JSON model (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/).
 * @module
 */

interface Panel {
  readonly title: string;
  readonly type: "stat" | "timeseries" | "table";
  readonly unit: string;
  readonly expr: string;
  readonly legend: string;
  /** Columns of 24, and rows. */
  readonly size: readonly [width: number, height: number];
}

const here = `project=~"$project",target=~"$target"`;

/** What is shown, from left to right and down. */
export const panels: readonly Panel[] = [
  { title: "Successful runs", type: "stat", unit: "percentunit", legend: "", size: [6, 5], expr: `sum(imgtask_target_runs_total{${here},outcome="done"}) / sum(imgtask_target_runs_total{${here}})` },
  { title: "Failed runs", type: "stat", unit: "short", legend: "", size: [6, 5], expr: `sum(imgtask_target_runs_total{${here},outcome="failed"}) or vector(0)` },
  { title: "Mean duration", type: "stat", unit: "s", legend: "", size: [6, 5], expr: `sum(imgtask_target_run_seconds_total{${here},outcome="done"}) / sum(imgtask_target_runs_total{${here},outcome="done"})` },
  { title: "Oldest result", type: "stat", unit: "s", legend: "", size: [6, 5], expr: `time() - min(imgtask_target_last_success_timestamp_seconds{${here}})` },
  { title: "Success by target", type: "table", unit: "percentunit", legend: "{{target}}", size: [12, 9], expr: `sum by (target) (imgtask_target_runs_total{${here},outcome="done"}) / sum by (target) (imgtask_target_runs_total{${here}})` },
  { title: "Duration of the last run", type: "timeseries", unit: "s", legend: "{{target}}", size: [12, 9], expr: `imgtask_target_last_duration_seconds{${here}}` },
  { title: "Size of images", type: "timeseries", unit: "bytes", legend: "{{target}}", size: [12, 9], expr: `imgtask_target_output_bytes{${here},target=~"(iso|disk|convert|rootfs):.*"}` },
  { title: "Time since the last good run", type: "timeseries", unit: "s", legend: "{{target}}", size: [12, 9], expr: `time() - imgtask_target_last_success_timestamp_seconds{${here}}` },
];

const source = { type: "prometheus", uid: "${datasource}" } as const;

function place(): readonly object[] {
  let x = 0, y = 0, low = 0;
  return panels.map(({ title, type, unit, expr, legend, size: [w, h] }, index) => {
    if (x + w > 24) [x, y] = [0, low];
    const gridPos = { x, y, w, h };
    x += w;
    low = Math.max(low, y + h);
    const instant = type !== "timeseries";
    return {
      id: index + 1, title, type, datasource: source, gridPos,
      fieldConfig: { defaults: { unit, ...(unit === "percentunit" ? { min: 0, max: 1 } : {}) }, overrides: [] },
      targets: [{ refId: "A", datasource: source, expr, legendFormat: legend, instant, range: !instant, ...(type === "table" ? { format: "table" } : {}) }],
    };
  });
}

function variable(name: string, query: string): object {
  return { name, label: name, type: "query", datasource: source, query: { query, refId: name }, definition: query, refresh: 2, includeAll: true, multi: true, allValue: ".*", current: { text: "All", value: "$__all" } };
}

/** The dashboard, to be imported into Grafana. */
export function dashboard(): object {
  return {
    uid: "imgtask", title: "imgtask", tags: ["imgtask"], schemaVersion: 39, version: 1, editable: true, refresh: "5m",
    time: { from: "now-90d", to: "now" },
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus", current: {} },
        variable("project", "label_values(imgtask_target_runs_total, project)"),
        variable("target", `label_values(imgtask_target_runs_total{project=~"$project"}, target)`),
      ],
    },
    panels: place(),
  };
}
