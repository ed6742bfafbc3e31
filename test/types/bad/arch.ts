import { machine, rootfs } from "../../../plugins/mod.ts";
import { debian } from "../../../distros/debian.ts";

rootfs("d", { distro: debian, release: "bookworm", arch: "riscv64", machine: machine({ hostname: "lab" }) });
