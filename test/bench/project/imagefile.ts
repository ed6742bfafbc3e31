/**
 * What the benchmark builds: a small server with what its peers can build as well, and an installer for it.
 * @module
 */
import { customize, disk, download, iso, machine, rootfs, source, verify } from "imgtask";
import { debian } from "imgtask/distros/debian";

const server = machine({ hostname: "bench", packages: ["openssh-server"], overlay: source("overlay"), network: "none" });
const root = rootfs("bench", { distro: debian, release: "bookworm", arch: "x86_64", machine: server });
disk("bench", { from: root, format: "qcow2", size: "2G", boot: "bios+uefi" });

const media = download("bench", debian.installer({ release: "bookworm", arch: "x86_64" }));
const trusted = verify("bench", { media, trust: debian.keys });
iso("bench", { from: customize("bench", { media: trusted, machine: server }), volume: "BENCH" });
