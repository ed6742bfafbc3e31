/**
 * Files that make a CI system run targets: a workflow of GitHub Actions, a pipeline of GitLab. Pure; where they are
 * written is the command's affair.
 * @module
 */
import { stringify } from "yaml";
import { keptDays } from "../log.ts";

/** CI systems that files can be written for. */
export const ciSystems = ["github", "gitlab"] as const;
/** One of {@linkcode ciSystems}. */
export type CiSystem = (typeof ciSystems)[number];

/** What a file depends on. */
export interface Ci {
  /** Names of the targets, one job each. */
  readonly targets: readonly string[];
  /** Names of environment variables that hold secrets of theirs. */
  readonly secrets: readonly string[];
  /** When it runs by itself, as cron has it, in UTC. */
  readonly schedule: string;
  /** Directory of the project, relative to the repository: `.` for its root. */
  readonly directory: string;
}

/** Where each file belongs, relative to the repository. GitLab's is included by the `.gitlab-ci.yml` that is there. */
export const ciFiles: Readonly<Record<CiSystem, string>> = { github: ".github/workflows/imgtask.yml", gitlab: ".gitlab/imgtask.yml" };

/** Actions by the commit of a release: a tag can be moved. */
const actions = {
  checkout: ["actions/checkout@34e114876b0b11c390a56381ad16ebd13914f8d5", "v4.3.1"],
  node: ["actions/setup-node@49933ea5288caeca8642d1e84afbd3f7d6820020", "v4.4.0"],
  cache: ["actions/cache@5a3ec84eff668545956fd18022155c47e93e2684", "v4.2.3"],
  upload: ["actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"],
} as const;

/** The official image `node:22-bookworm`, by digest. */
const image = "node:22-bookworm@sha256:363e1587494626837fa7f9a23bdb453d13b0ff3c67c705c2805cfc69c2d2fad7";

/** What a run reads of the environment to tell people how it went; set only when the repository has it. */
const notices = ["IMGTASK_NOTIFY_SLACK", "IMGTASK_NOTIFY_WEBHOOK"] as const;

const steps = {
  install: "npm ci",
  tools: `npx imgtask doctor --install-tools -- "$TARGET"`,
  run: `npx imgtask run --keep-going -- "$TARGET"`,
  metrics: "npx imgtask metrics > imgtask.prom",
} as const;

/** A name for a cache or an artifact: some systems refuse most of what is no letter. */
const plain = (target: string): string => target.replaceAll(/[^A-Za-z0-9._-]/g, "-");

function github({ targets, secrets, schedule, directory }: Ci): object {
  const step = (name: string, run: string): object => ({ name, run });
  const below = (path: string): string => (directory === "." ? path : `${directory}/${path}`);
  const key = `imgtask-\${{ matrix.name }}-`;
  return {
    name: "Images",
    on: { workflow_dispatch: {}, schedule: [{ cron: schedule }] },
    permissions: { contents: "read" },
    // Two runs at once would build the same twice.
    concurrency: { group: "imgtask-${{ github.ref }}" },
    jobs: {
      image: {
        name: "${{ matrix.target }}",
        "runs-on": "ubuntu-24.04",
        "timeout-minutes": 360,
        strategy: { "fail-fast": false, matrix: { include: targets.map((target) => ({ target, name: plain(target) })) } },
        ...(directory === "." ? {} : { defaults: { run: { "working-directory": directory } } }),
        env: {
          // By the environment: an expression within a script would be code.
          TARGET: "${{ matrix.target }}",
          ...Object.fromEntries([...notices, ...secrets].map((name) => [name, `\${{ secrets.${name} }}`])),
        },
        steps: [
          { uses: actions.checkout[0], with: { "persist-credentials": false } },
          { uses: actions.node[0], with: { "node-version": "22", cache: "npm", "cache-dependency-path": below("package-lock.json") } },
          // Results of earlier runs. What no trusted key signed is not taken where IMGTASK_TRUSTED_RESULTS is set.
          { uses: actions.cache[0], with: { path: [".imgtask/store", ".imgtask/records", ".imgtask/history"].map(below).join("\n"), key: `${key}\${{ github.run_id }}`, "restore-keys": key } },
          step("KVM, where the runner has it", "sudo chmod 666 /dev/kvm || true"),
          step("Install", steps.install),
          step("Tools", steps.tools),
          step("Build", steps.run),
          { name: "Metrics", if: "always()", run: steps.metrics },
          {
            if: "always()", uses: actions.upload[0],
            with: { name: "${{ matrix.name }}", path: ["artifacts/", "attestations/", "logs/", ".imgtask/logs/", "imgtask.prom"].map(below).join("\n"), "include-hidden-files": true, "if-no-files-found": "ignore", "retention-days": keptDays },
          },
        ],
      },
    },
  };
}

function gitlab({ targets, schedule, directory }: Ci): object {
  const below = (path: string): string => (directory === "." ? path : `${directory}/${path}`);
  return {
    "imgtask:image": {
      stage: "build",
      image,
      // By hand, or by a schedule of the project (CI/CD > Schedules), where GitLab keeps the time.
      rules: [{ if: `$CI_PIPELINE_SOURCE == "schedule"` }, { if: `$CI_PIPELINE_SOURCE == "web"` }],
      parallel: { matrix: [{ TARGET: [...targets] }] },
      timeout: "6 hours",
      interruptible: false,
      cache: { key: "imgtask-$CI_COMMIT_REF_SLUG-$CI_NODE_INDEX", paths: [".imgtask/store", ".imgtask/records", ".imgtask/history"].map(below), when: "always" },
      variables: { GIT_DEPTH: "1", IMGTASK_SCHEDULE: schedule },
      script: [...(directory === "." ? [] : [`cd ${JSON.stringify(directory)}`]), steps.install, steps.tools, steps.run],
      after_script: [...(directory === "." ? [] : [`cd ${JSON.stringify(directory)}`]), steps.metrics],
      artifacts: {
        when: "always",
        expire_in: `${keptDays} days`,
        paths: ["artifacts/", "attestations/", "logs/", ".imgtask/logs/"].map(below),
        reports: { junit: below("artifacts/test/*/junit.xml"), metrics: below("imgtask.prom") },
      },
    },
  };
}

const writers: Readonly<Record<CiSystem, (ci: Ci) => object>> = { github, gitlab };

const heads: Readonly<Record<CiSystem, (ci: Ci) => readonly string[]>> = {
  github: ({ secrets }) => [
    "Secrets of the repository that it uses, all optional unless a target needs them:",
    [...notices, ...secrets].join(", "),
  ],
  gitlab: ({ schedule, secrets }) => [
    `Make a schedule for it in GitLab: ${schedule} (UTC). Include it: include: [{ local: ${ciFiles.gitlab} }]`,
    `Variables of the project that it uses, all optional unless a target needs them: ${[...notices, ...secrets].join(", ")}`,
  ],
};

/** The text of a file, without the line that says whose it is. */
export function workflow(system: CiSystem, ci: Ci): string {
  const text = stringify(writers[system](ci), { lineWidth: 0 });
  const told = Object.values(actions).reduce((one, [name, version]) => one.replaceAll(name, `${name} # ${version}`), text);
  return `${heads[system](ci).map((line) => `# ${line}\n`).join("")}\n${told}`;
}
