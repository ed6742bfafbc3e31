/**
 * Every publisher against its real server: whole files, nothing twice, nothing half when it is killed, no secret anywhere.
 * Kills are few here, and thirty in test/long.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { directoryPlace, githubPlace, s3Place, sshPlace } from "../rig/places.ts";
import { checkPlace } from "../rig/place-check.ts";

for (const kind of [directoryPlace, githubPlace, sshPlace, s3Place]) {
  test(`${kind.name}: what every place must do`, { skip: kind.missing() }, async (context) => {
    const place = await kind.start();
    try {
      const told = await checkPlace(place, 3);
      for (const line of told) context.diagnostic(`${kind.name}: ${line}`);
      assert.ok(told.length > 0);
    } finally {
      await place.stop();
    }
  });
}
