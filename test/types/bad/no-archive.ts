import { type Distro, machine, rootfs } from "../../../plugins/mod.ts";

declare const fedora: Distro<"fedora", "42", "x86_64">;
rootfs("f", { distro: fedora, release: "42", arch: "x86_64", machine: machine({ hostname: "lab" }) });
