import assert from "node:assert/strict";
import { test } from "node:test";
import { isolines } from "../../src/plot/isolines.ts";
import { fieldOf } from "../support/make.ts";

test("contour lines lie on their level, inside the grid, and not along holes", () => {
  const bowl = fieldOf(21, 31, (r, c) => (r - 10) ** 2 + (c - 14) ** 2);
  const holed = fieldOf(21, 31, (r, c) => (Math.hypot(r - 4, c - 20) < 3 ? NaN : (r - 10) ** 2 + (c - 14) ** 2));
  for (const f of [bowl, holed]) {
    const lines = isolines(f);
    assert.ok(lines.length >= f.levels.length);
    for (const { level, points } of lines) {
      for (const [x, y] of points) {
        assert.ok(x >= 0 && y >= 0 && x <= 30 && y <= 20);
        // Straight lines between grid points miss a parabola by at most a quarter.
        assert.ok(Math.abs((y - 10) ** 2 + (x - 14) ** 2 - level) <= 0.26);
      }
    }
  }
  assert.deepEqual(isolines(fieldOf(1, 9, (_, c) => c)), []);
});
