import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSeed } from "../../src/panel/seed.ts";

test("seeds are whole numbers from zero", () => {
  assert.deepEqual(["0", "7", "100", "-1", "1.5", "", "x", "1e99"].map(parseSeed), [
    0,
    7,
    100,
    null,
    null,
    null,
    null,
    null,
  ]);
});
