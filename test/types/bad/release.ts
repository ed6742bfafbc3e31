import { machine, rootfs } from "../../../plugins/mod.ts";
import { debian } from "../../../distros/debian.ts";

rootfs("d", { distro: debian, release: "sarge", arch: "x86_64", machine: machine({ hostname: "lab" }) });
