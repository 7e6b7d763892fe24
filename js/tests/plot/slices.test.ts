import assert from "node:assert/strict";
import { test } from "node:test";
import { lowest, unit } from "../../src/model/field.ts";
import { sliceOf, slicePoint } from "../../src/plot/slices.ts";
import { fieldOf } from "../support/make.ts";

test("slices run along their axis through the point", () => {
  const f = fieldOf(3, 5, (r, c) => 10 * r + c);
  assert.deepEqual([...sliceOf(f, "alpha", { row: 1, column: 4 })], [10, 11, 12, 13, 14]);
  assert.deepEqual([...sliceOf(f, "beta", { row: 1, column: 4 })], [4, 14, 24]);
  assert.deepEqual(slicePoint(f), { row: 1, column: 2 });
  assert.deepEqual(lowest(f), { row: 0, column: 0 });
  assert.equal(unit(f, 12), 0.5);
});
