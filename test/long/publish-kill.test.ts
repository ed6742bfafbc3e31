/**
 * The real command line killed thirty times at every place it publishes to: one whole file or none, never half, and the
 * next run publishes all of it. `IMGTASK_TEST_PLACE` names one place, `IMGTASK_TEST_KILLS` another number.
 * @module
 */
import { test } from "node:test";
import { killWhilePublishing } from "../rig/place-kill.ts";
import { placeKinds } from "../rig/places.ts";

const kills = Number(process.env["IMGTASK_TEST_KILLS"] ?? 30);

for (const kind of placeKinds.filter(({ name }) => (process.env["IMGTASK_TEST_PLACE"] ?? name) === name)) {
  test(`${kind.name}: killed ${kills} times while it publishes`, { skip: kind.missing() }, async (context) => {
    const place = await kind.start();
    try {
      context.diagnostic(`${kind.name}: ${await killWhilePublishing(place, kills)}`);
    } finally {
      await place.stop();
    }
  });
}
