import { customize, disk, download, iso, machine, verify } from "../../../plugins/mod.ts";
import { debian } from "../../../distros/debian.ts";

const media = verify("d", { media: download("d", debian.installer({ release: "bookworm", arch: "x86_64" })), trust: debian.keys });
const image = iso("d", { from: customize("d", { media, machine: machine({ hostname: "lab" }) }) });
disk("d", { from: image });
