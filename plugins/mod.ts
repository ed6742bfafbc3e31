/**
 * The package `imgtask`: the public face of the engine, and the kinds of targets that every imagefile uses.
 * @module
 */
export * from "../lib/mod.ts";
