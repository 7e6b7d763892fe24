import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCount } from "../../src/panel/resolution.ts";

test("counts are whole numbers from one", () => {
  assert.deepEqual(["1", "51", "0", "2.5", "x", "9999"].map(parseCount), [1, 51, null, null, null, null]);
});
