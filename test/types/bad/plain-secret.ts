import { download } from "../../../plugins/mod.ts";
import { debian } from "../../../distros/debian.ts";

const media = debian.installer({ release: "bookworm", arch: "x86_64" });
download("d", media, { credentials: { origin: "https://mirror.example.org", type: "bearer", token: "abc" } });
