import { directory, disk, machine, publish, rootfs } from "../../../plugins/mod.ts";
import { debian } from "../../../distros/debian.ts";

const image = disk("d", { from: rootfs("d", { distro: debian, release: "bookworm", arch: "x86_64", machine: machine({ hostname: "lab" }) }) });
publish("p", { artifacts: [image], to: directory("out") });
