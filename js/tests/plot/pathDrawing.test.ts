import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpointAt } from "../../src/plot/pathDrawing.ts";

test("the checkpoint under the pointer is the nearest one", () => {
  const at = (x: number, y: number) => ({ x, y, occluded: false, beyond: false });
  const places = [at(0, 0), null, at(12, 0)];
  assert.deepEqual([checkpointAt(places, 5, 0), checkpointAt(places, 7, 0), checkpointAt(places, 40, 0)], [0, 2, null]);
});
