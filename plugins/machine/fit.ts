/**
 * What passes for a machine description where a kind takes one. Knows nothing of what kinds do with it.
 * @module
 */
import { fit } from "../../lib/mod.ts";

/** A machine. */
export const machineFit: fit.Optional = fit.by("a machine, as machine() gives it", (value) => fit.isObject(value) && "packageSets" in value);
