// The reporter of the test runs: node's "spec", with the counted figures of the fault tests once more at the end, just
// before the closing lines.
import { Readable } from "node:stream";
import { spec } from "node:test/reporters";

async function* withFigures(source) {
  const figures = [];
  let ended = false;
  for await (const event of source) {
    if (event.type === "test:diagnostic") {
      if (event.data.file?.includes("/test/fault/")) figures.push(event);
      // The closing lines come from no file.
      else if (event.data.file === undefined && !ended) {
        ended = true;
        yield* figures;
      }
    }
    yield event;
  }
}

export default async function* closing(source) {
  yield* Readable.from(withFigures(source)).pipe(new spec());
}
