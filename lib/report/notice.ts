/**
 * The notice of a failed run: words for Slack, data for any other webhook. Sends nothing.
 * @module
 */
import { basename } from "node:path";
import type { ImgtaskError } from "../error.ts";
import { formatDuration } from "./duration.ts";
import { type ErrorData, errorData } from "./error.ts";
import { printable, printableLines } from "./text.ts";
import { tail } from "./words.ts";

/** A target that failed. */
export interface Failure {
  readonly target: string;
  /** Milliseconds. */
  readonly duration: number;
  readonly error: ImgtaskError;
  /** Absolute path of its log. */
  readonly log: string | undefined;
}

/** What a notice is about. */
export interface FailedRun {
  /** Absolute directory of the project. */
  readonly directory: string;
  readonly failures: readonly Failure[];
  /** Page of the CI job, where there is one. */
  readonly url: string | undefined;
}

/** What a webhook gets, as JSON. */
export interface Notice {
  /** Name of the project's directory. */
  readonly project: string;
  readonly url: string | null;
  readonly failures: readonly {
    readonly target: string;
    /** Milliseconds. */
    readonly duration: number;
    readonly error: ErrorData;
    /** The last lines of the log. */
    readonly log: readonly string[];
  }[];
}

/** Lines of a log that a notice has. */
const lines = 20;
/** Targets that a notice tells of; the rest is counted. */
const most = 5;

/** The page of the job that runs this, on GitHub or GitLab. */
export function jobPage(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run, CI_JOB_URL: job } = env;
  if (server !== undefined && repository !== undefined && run !== undefined) return `${server}/${repository}/actions/runs/${run}`;
  return job === "" ? undefined : job;
}

/** The notice as data. */
export function notice({ directory, failures, url }: FailedRun): Notice {
  return {
    project: basename(directory),
    url: url ?? null,
    failures: failures.map(({ target, duration, error, log }) => ({
      target,
      duration,
      error: errorData(error, directory),
      log: log === undefined ? [] : tail(log, lines).map(printable),
    })),
  };
}

/** Text for Slack's mrkdwn, in which three characters mean something everywhere (https://docs.slack.dev/messaging/formatting-message-text). */
function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Cut at the front to Slack's 3000 characters of a section; what a log ends with tells most. */
function block(log: readonly string[]): string {
  const text = escape(printableLines(log.join("\n"))).replaceAll("```", "'''");
  return `\`\`\`\n${text.length > 2500 ? `…${text.slice(-2500).replace(/^[^\s&;]*;/, "")}` : text}\n\`\`\``;
}

/** The notice as the body of Slack's incoming webhooks. */
export function slackMessage(run: FailedRun): object {
  const { project, failures, url } = notice(run);
  const title = `imgtask: ${failures.length === 1 ? failures[0]!.target : `${failures.length} targets`} failed in ${project}`;
  const section = (text: string): object => ({ type: "section", text: { type: "mrkdwn", text } });
  const told = failures.slice(0, most).flatMap(({ target, duration, error, log }) => [
    section(`*${escape(printable(target))}* after ${formatDuration(duration)}\n${escape(printable(`${error.code}: ${error.message}`)).slice(0, 1000)}`),
    ...(log.length === 0 ? [] : [section(block(log))]),
  ]);
  const rest = failures.length > most ? [section(`and ${failures.length - most} more`)] : [];
  return {
    text: escape(title),
    blocks: [
      { type: "header", text: { type: "plain_text", text: title.slice(0, 150) } },
      ...told,
      ...rest,
      ...(url === null ? [] : [section(`<${escape(url)}|The job>`)]),
    ],
  };
}
