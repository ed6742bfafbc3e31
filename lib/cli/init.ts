/**
 * The command `init`: writes the files of a new project. Overwrites nothing.
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ExitCode, ImgtaskError } from "../error.ts";
import { packageVersion } from "../package.ts";
import { imagefileNames } from "../project.ts";
import type { CommandContext } from "./context.ts";

const imagefileText = `import { disk, group, machine, rootfs } from "imgtask";
import { debian } from "imgtask/distros/debian";

const first = machine({
  hostname: "first",
  packages: ["openssh-server"],
  services: { enable: ["ssh"] },
});

const root = rootfs("debian", { distro: debian, release: "bookworm", arch: "x86_64", machine: first });
const image = disk("debian", { from: root, format: "qcow2", size: "8G" });

export default group("all", [image], { description: "Everything this project builds" });
`;

const tsconfigText = `${JSON.stringify({
  compilerOptions: {
    target: "es2023", module: "nodenext", moduleResolution: "nodenext", strict: true, noEmit: true, skipLibCheck: true,
    allowImportingTsExtensions: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true,
  },
  include: ["imagefile.ts", "imagefile.mts"],
}, undefined, 2)}\n`;

const ignored = [".imgtask/", "artifacts/", "node_modules/"] as const;

type Manifest = Record<string, unknown> & { type?: unknown; scripts?: Record<string, unknown>; devDependencies?: Record<string, unknown>; dependencies?: Record<string, unknown> };

function readManifest(file: string): { readonly manifest: Manifest; readonly indent: string } {
  const text = readFileSync(file, "utf8");
  try {
    return { manifest: JSON.parse(text) as Manifest, indent: /^([ \t]+)"/m.exec(text)?.[1] ?? "  " };
  } catch (error) {
    throw new ImgtaskError("IMG2023", "Cannot read package.json", {
      expected: "JSON", found: (error as Error).message, location: { file, line: 1 }, exitCode: ExitCode.usage,
    });
  }
}

/** Adds what is missing to package.json; what is there stays as it is. */
function withEntries(manifest: Manifest): Manifest {
  const result: Manifest = { ...manifest, scripts: { images: "imgtask run", ...manifest.scripts } };
  if (manifest.dependencies?.["imgtask"] === undefined) result.devDependencies = { imgtask: `^${packageVersion()}`, ...manifest.devDependencies };
  return result;
}

/** Writes an imagefile, tsconfig.json, package.json and .gitignore into the working directory. */
export async function init(context: CommandContext): Promise<ExitCode> {
  const { cwd } = context;
  const there = imagefileNames.find((name) => existsSync(join(cwd, name)));
  if (there !== undefined) {
    throw new ImgtaskError("IMG2025", `There is a project already: "${there}"`, {
      expected: "a directory without an imagefile", found: join(cwd, there), hint: "Run `imgtask list` to see its targets", exitCode: ExitCode.usage,
    });
  }
  const manifestFile = join(cwd, "package.json");
  const old = existsSync(manifestFile) ? readManifest(manifestFile) : undefined;
  const manifest = withEntries(old?.manifest ?? { private: true, type: "module" });
  // Beside CommonJS only the longer ending says that the imagefile is a module.
  const imagefile = manifest.type === "module" ? "imagefile.ts" : "imagefile.mts";
  const write = (name: string, text: string, verb: string): void => {
    writeFileSync(join(cwd, name), text, verb === "wrote" ? { flag: "wx" } : {});
    context.stderr(`${verb} ${name}\n`);
  };
  write(imagefile, imagefileText, "wrote");
  if (existsSync(join(cwd, "tsconfig.json"))) context.stderr(`kept tsconfig.json: see that it includes ${imagefile}\n`);
  else write("tsconfig.json", tsconfigText, "wrote");
  const text = `${JSON.stringify(manifest, undefined, old?.indent ?? "  ")}\n`;
  if (old === undefined) write("package.json", text, "wrote");
  else if (JSON.stringify(old.manifest) !== JSON.stringify(manifest)) write("package.json", text, "added to");
  const ignoreFile = join(cwd, ".gitignore");
  const before = existsSync(ignoreFile) ? readFileSync(ignoreFile, "utf8") : "";
  const lines = before.split(/\r?\n/).map((line) => line.trim().replace(/^\//, "").replace(/\/$/, ""));
  const missing = ignored.filter((line) => !lines.includes(line.slice(0, -1)));
  if (missing.length > 0) {
    write(".gitignore", `${before}${before === "" || before.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`, before === "" ? "wrote" : "added to");
  }
  context.stderr("Next: npm install, then npx imgtask doctor, then npx imgtask disk:debian\n");
  return ExitCode.ok;
}
