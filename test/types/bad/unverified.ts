import { customize, download, machine } from "../../../plugins/mod.ts";
import { debian } from "../../../distros/debian.ts";

const media = download("d", debian.installer({ release: "bookworm", arch: "x86_64" }));
customize("d", { media, machine: machine({ hostname: "lab" }) });
