/**
 * Reads JSON that strangers wrote, by its schema.
 * @module
 */
import type { z } from "zod";
import { malformed } from "./words.ts";

/**
 * Parses and checks a text.
 *
 * @throws {ImgtaskError} IMG4081, with the place of the first thing that is wrong.
 */
export function parseJson<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(what, "JSON", (error as Error).message);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw malformed(what, "what its format has", `${issue!.path.join(".")}: ${issue!.message}`);
}
