import assert from "node:assert/strict";
import { test } from "node:test";
import { placePointLabels } from "../../src/plot/pointLabels.ts";

test("labels cover neither each other nor the border, and are left out without room", () => {
  const area = { x: 0, y: 0, width: 200, height: 100 };
  const tags = Array.from({ length: 12 }, () => ({ text: "name", x: 100, y: 50 }));
  const boxes = placePointLabels([...tags, { text: "edge", x: 199, y: 99 }], Array(13).fill(40), area, [
    { x: 120, y: 43 },
  ]);
  const placed = boxes.filter((b) => b !== null);
  assert.ok(placed.length > 1 && placed.length < 13 && boxes[12]);
  for (const [i, a] of placed.entries()) {
    assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= 200 && a.y + a.height <= 100);
    for (const b of placed.slice(i + 1))
      assert.ok(a.x >= b.x + b.width || b.x >= a.x + a.width || a.y >= b.y + b.height || b.y >= a.y + a.height);
  }
  assert.ok(
    boxes[0] &&
      !(boxes[0].x < 120 && boxes[0].x + boxes[0].width > 120 && boxes[0].y < 43 && boxes[0].y + boxes[0].height > 43),
  );
});
