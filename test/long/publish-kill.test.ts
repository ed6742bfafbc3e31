/**
 * Thirty kills for every place to publish to: one whole file or none, never half.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPlace } from "../rig/place-check.ts";
import { directoryPlace, githubPlace, s3Place, sshPlace } from "../rig/places.ts";

for (const kind of [directoryPlace, githubPlace, sshPlace, s3Place]) {
  test(`${kind.name}: killed thirty times`, { skip: kind.missing() }, async (context) => {
    const place = await kind.start();
    try {
      const told = await checkPlace(place, 30);
      for (const line of told) context.diagnostic(`${kind.name}: ${line}`);
      assert.ok(told.length > 0);
    } finally {
      await place.stop();
    }
  });
}
