/**
 * The command `metrics`, and the file that a run leaves for Prometheus' node exporter when it is asked to.
 * @module
 */
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { ExitCode } from "../error.ts";
import type { Listener } from "../event.ts";
import { readHistory } from "../history.ts";
import { metricsText } from "../metrics.ts";
import { findProject, type Project } from "../project.ts";
import type { CommandContext } from "./context.ts";

function textOf(project: Project): string {
  return metricsText(readHistory(project.state), basename(project.directory));
}

/** Writes the metrics, or with `--dashboard` the dashboard for Grafana. */
export async function metrics(context: CommandContext): Promise<ExitCode> {
  if (context.options.dashboard) context.stdout(`${JSON.stringify((await import("../report/dashboard.ts")).dashboard(), undefined, 2)}\n`);
  else context.stdout(textOf(findProject(context.cwd, context.options.imagefile)));
  return ExitCode.ok;
}

/** Writes the metrics of a project into a file: all of them, or as it was. That it cannot be is a warning. */
export function writeMetrics(project: Project, file: string, cwd: string, on: Listener): void {
  const path = resolve(cwd, file);
  // The node exporter reads *.prom only, so what stands beside the file for a moment is no metric.
  const beside = `${path}.${randomBytes(4).toString("hex")}.new`;
  try {
    writeFileSync(beside, textOf(project), { flag: "wx", mode: 0o644 });
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    on({ type: "warning", code: "IMG6006", message: `The metrics could not be written: ${(error as Error).message}`, hint: "IMGTASK_METRICS names a file in a directory that exists and is writable" });
  }
}
