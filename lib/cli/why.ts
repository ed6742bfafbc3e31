/**
 * The command `why`: what a run would do with one target and because of what, and how it went last time.
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../digest.ts";
import { ExitCode, ImgtaskError } from "../error.ts";
import type { Reason } from "../event.ts";
import { explain, type Explanation } from "../explain.ts";
import { select } from "../graph.ts";
import { makePlan } from "../plan.ts";
import type { CodeChange } from "../recipe-change.ts";
import type { RecipeSheet } from "../recipe-sheet.ts";
import { shownPath } from "../report/error.ts";
import { entryData } from "../report/plan.ts";
import { why as whyText, whyData, whyGroup, type WhyOptions } from "../report/why.ts";
import { type CommandContext, dataColor } from "./context.ts";
import type { Engine } from "./run.ts";

/** Rows of a screen that stay free for the command itself and the prompt after it. */
const margin = 2;

/** Prints the verdict on one target with all its reasons, and why it ran last. */
export async function why(context: CommandContext, { state, loaded }: Engine): Promise<ExitCode> {
  const { json, verbose } = context.options;
  const pattern = context.options.targets[0]!;
  const names = select(loaded.graph, [pattern]);
  if (names.length > 1) {
    throw new ImgtaskError("IMG2020", `"${pattern}" matches ${names.length} targets`, {
      expected: "one target",
      found: `${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}`,
      hint: `Name one of them, or run \`imgtask plan '${pattern}'\` for all`,
      exitCode: ExitCode.usage,
    });
  }
  const name = names[0]!;
  const plan = await makePlan(loaded, [name], state, new Set());
  const { columns, rows } = process.stdout as { readonly columns?: number; readonly rows?: number };
  const options: WhyOptions & { changes?: WhyOptions["changes"] } = {
    color: dataColor(context),
    ...(columns === undefined || columns === 0 || verbose ? {} : { columns }),
    rows: verbose ? Infinity : Math.max(12, (rows === undefined || rows === 0 ? 24 : rows) - margin),
    shownPath: (path) => shownPath(path, context.cwd),
  };
  if (loaded.graph.get(name)!.declaration.kind === "group") {
    const data = { target: name, group: true, targets: plan.map(entryData) };
    context.stdout(json ? `${JSON.stringify(data, null, 2)}\n` : whyGroup(name, plan, options));
    return ExitCode.ok;
  }
  const explanation = explain(plan.find(({ target }) => target === name)!, plan, loaded.graph, state);
  options.changes = await changesOf(explanation, { state, loaded });
  context.stdout(json ? `${JSON.stringify(whyData(explanation, options), null, 2)}\n` : whyText(explanation, options));
  return ExitCode.ok;
}

/** The changed lines of the recipes that an explanation speaks of, as far as their code was kept. */
async function changesOf(explanation: Explanation, { state, loaded }: Engine): Promise<ReadonlyMap<Reason, readonly CodeChange[]>> {
  const { entry, causes, last } = explanation;
  const changes = new Map<Reason, readonly CodeChange[]>();
  for (const { target, reasons } of [entry, ...causes, { target: entry.target, reasons: last?.reasons ?? [] }, ...(last?.causes ?? [])]) {
    for (const reason of reasons) {
      if (reason.type !== "recipe" || reason.from === undefined || reason.to === undefined) continue;
      const { codeChanges } = await import("../recipe-change.ts");
      const { readSheet } = await import("../recipe-sheet.ts");
      const declaration = loaded.graph.get(target)?.declaration;
      const before = readSheet(state.project.state, reason.from as Digest);
      // What has not run yet has no sheet on disk.
      const now = readSheet(state.project.state, reason.to as Digest) ?? (declaration !== undefined && reason.to === loaded.recipeDigest(declaration) ? await loaded.recipeSheet?.(declaration) : undefined);
      if (before === undefined || now === undefined) continue;
      const found = await codeChanges(before, now);
      const current = declaration !== undefined && reason.to === loaded.recipeDigest(declaration);
      changes.set(reason, current ? found.map((change) => inFile(change, now, state.project.directory)) : found);
    }
  }
  return changes;
}

/** A change with the line at which it stands in the file: sheets are without comments and layout. */
function inFile(change: CodeChange, sheet: RecipeSheet, project: string): CodeChange {
  const [first] = change.added;
  const start = sheet.find(({ file, name }) => file === change.file && name === change.name)?.line;
  if (first === undefined || start === undefined) return change;
  try {
    const lines = readFileSync(join(project, change.file), "utf8").split("\n");
    const at = lines.findIndex((text, index) => index >= start - 1 && text.trim().startsWith(first.trim()));
    return at < 0 ? change : { ...change, line: at + 1 };
  } catch {
    return change;
  }
}
