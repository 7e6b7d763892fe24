import assert from "node:assert/strict";
import { test } from "node:test";
import { boundFor, editRange } from "../../src/panel/range.ts";

test("an edited range is always finite with lo < hi", () => {
  assert.deepEqual(editRange([-1, 1], 0, -0.5, false), [-0.5, 1]);
  assert.deepEqual(editRange([-1, 1], 0, 2, false), [2, 4]);
  assert.deepEqual(editRange([-1, 1], 1, -3, false), [-5, -3]);
  assert.deepEqual(editRange([0, 0], 1, 0.3, true), [0.3, 0.3]);
  for (const bad of [NaN, Infinity, -Infinity, 1e9]) assert.equal(editRange([-1, 1], 1, bad, false), null);
  for (let i = 0; i < 500; i++) {
    const value = (Math.random() - 0.5) * 10 ** (6 * Math.random() - 3);
    const edited = editRange([-1, 1], i % 2 ? 0 : 1, value, false);
    assert.ok(edited && edited[0] < edited[1] && Number.isFinite(edited[0] + edited[1]));
  }
  assert.equal(boundFor([-1, 1]), 2);
  for (const range of [
    [-3, 1],
    [0, 99],
    [-1000, 5],
  ] as [number, number][])
    assert.ok(boundFor(range) > Math.max(...range.map(Math.abs)));
});
