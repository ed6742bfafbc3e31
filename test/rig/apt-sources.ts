/**
 * Where Debian's packages come from on this host: lines of sources.list, with the mirrors that the host's apt uses.
 * The same choice that imgtask makes: environment variable, the host's apt, Debian's default.
 * @module
 */
import { execFileSync } from "node:child_process";
import { debian, type DebianRelease } from "../../distros/debian.ts";

/** One line a suite of a release. */
export function aptSources(release: DebianRelease): readonly string[] {
  const text = execFileSync("apt-get", ["indextargets", "--format", "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)", "Created-By: Packages"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const listed = text.trim().split("\n").map((line) => line.split("\t"));
  return debian.releases[release].suites.map(({ suite, components, archive = debian.archive }) => {
    const known = listed.find(([origin, label]) => origin === archive.origin && label === archive.label)?.[2];
    const mirror = process.env[archive.mirrorEnv] ?? known ?? archive.defaultMirror;
    return `deb ${mirror} ${suite} ${components.join(" ")}`;
  });
}
