/**
 * Every publisher against its server: whole files, nothing twice, carrying on where it was killed, no secret anywhere.
 * Thirty kills each are in test/long.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { placeKinds } from "../rig/places.ts";
import { checkPlace } from "../rig/place-check.ts";

for (const kind of placeKinds) {
  test(`${kind.name}: what every place must do`, { skip: kind.missing() }, async (context) => {
    const place = await kind.start();
    try {
      const told = await checkPlace(place);
      for (const line of told) context.diagnostic(`${kind.name}: ${line}`);
      assert.ok(told.length > 0);
    } finally {
      await place.stop();
    }
  });
}
