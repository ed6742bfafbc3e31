/**
 * Words for security notices, as text and as data. Decides nothing.
 * @module
 */
import type { Notice, NoticeAnswer, NoticeReport } from "../notice.ts";
import { painter, printable } from "./text.ts";

/** What was found out for one target. */
export interface Noticed {
  readonly target: string;
  /** Entry of `imgtask.lock`. @default it pins nothing */
  readonly id?: string;
  readonly answers: readonly NoticeAnswer[];
}

/** Notices of one place that are shown; `--json` has all. */
const shown = 20, shownPackages = 4;

const colors = { critical: "red", important: "red", moderate: "yellow", low: "dim" } as const;

function voucher({ trust, signer }: NoticeReport): string {
  if (trust === "signed") return `signed by ${printable(signer ?? "a pinned key")}`;
  return trust === "tls" ? "not signed: TLS alone vouches for it" : "nothing vouches for it: neither signed nor by TLS";
}

function counted(notices: readonly Notice[]): string {
  const count = new Map<string, number>();
  for (const { severity = "not rated" } of notices) count.set(severity, (count.get(severity) ?? 0) + 1);
  return ["critical", "important", "moderate", "low", "not rated"].flatMap((one) => (count.has(one) ? [`${count.get(one)!} ${one}`] : [])).join(", ");
}

function line({ id, severity, date, packages, link }: Notice, paint: ReturnType<typeof painter>): string {
  const names = packages.slice(0, shownPackages).map(({ name, found, fixed, stream, unsure }) =>
    `${name}${found === undefined ? "" : ` ${found}`}${found !== undefined && fixed !== undefined ? " →" : ""}${fixed === undefined || found === undefined ? "" : ` ${fixed}`}`
    + (unsure === true ? ` (if it is of ${stream === undefined ? "that module stream" : stream}, which is not known)` : stream === undefined ? "" : ` (${stream})`));
  const more = packages.length > shownPackages ? `, ${packages.length - shownPackages} more` : "";
  const grade = severity === undefined ? "not rated" : severity;
  return `    ${printable(id)}  ${severity === undefined ? grade : paint(colors[severity], grade)}  ${date ?? "no date"}  ${printable(names.join(", "))}${more}\n      ${link}\n`;
}

function part(answer: NoticeAnswer, paint: ReturnType<typeof painter>): string {
  if ("state" in answer) {
    if (answer.state === "unpublished") return `  ${printable(answer.why)}\n`;
    return `  ${paint("yellow", "not known")}: ${answer.code === undefined ? "" : `${answer.code}: `}${printable(answer.why)}\n    ${printable(answer.source)}\n`;
  }
  const { notices, basis, since, packages, source } = answer;
  const by = basis === "packages" ? `of ${packages ?? 0} packages` : `since ${since ?? "ever"}, by date alone: which packages are there is not known`;
  const head = notices.length === 0 ? `  ${paint("green", "none")} ${by}` : `  ${notices.length} ${by}: ${counted(notices)}`;
  const rest = notices.length > shown ? `    … ${notices.length - shown} more: --json has all\n` : "";
  return `${head}\n    ${printable(source)}, ${voucher(answer)}\n${notices.slice(0, shown).map((one) => line(one, paint)).join("")}${rest}`;
}

/** A paragraph for each target, and in it one for each place that was asked. */
export function noticesText(noticed: readonly Noticed[], options: { readonly color: boolean }): string {
  const paint = painter(options.color);
  return noticed.map(({ target, answers }) => `\nSecurity notices for ${printable(target)}\n${answers.map((one) => part(one, paint)).join("")}`).join("");
}

/** The same for programs. */
export function noticesData(noticed: readonly Noticed[]): object {
  return { notices: noticed.map(({ target, id, answers }) => ({ target, id: id ?? null, answers })) };
}
