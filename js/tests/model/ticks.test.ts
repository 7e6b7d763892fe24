import assert from "node:assert/strict";
import { test } from "node:test";
import { at } from "../../src/model/access.ts";
import { tickLabels } from "../../src/model/format.ts";
import { contourLevels, levelCoordinate, linearTicks, valueTicks } from "../../src/model/ticks.ts";

test("levels are automatic, those of the paper, or a list in original units", () => {
  const paper = contourLevels(0, 20, "linear", "paper");
  assert.deepEqual([paper.length, paper[0], paper[1], paper[19]], [20, 0.1, 0.6, 9.6]);
  assert.deepEqual(
    contourLevels(-2, 1, "log", [-1, 0.1, 5]).map((v) => Math.round(10 ** v * 10) / 10),
    [0.1, 5],
  );
  assert.deepEqual(contourLevels(0, 1, "linear", []), []);
});

test("ticks of a log axis are labeled in original units", () => {
  assert.deepEqual(
    valueTicks(-2, 3, "log", 6).map((t) => t.label),
    ["0.01", "0.1", "1", "10", "100", "1000"],
  );
  assert.deepEqual(
    valueTicks(0, 1, "log", 5).map((t) => t.label),
    ["1", "2", "5", "10"],
  );
  assert.ok(valueTicks(0.3, 0.31, "log", 5).length >= 2);
  assert.deepEqual(
    linearTicks(0, 1, 5, true).map((t) => t.label),
    ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"],
  );
  assert.deepEqual(tickLabels([-0.5, 0, 0.5]), ["−0.5", "0.0", "0.5"]);
  assert.equal(linearTicks(0.3, 0.3, 5).length, 1);
});

test("contour levels lie inside the range and the level coordinate counts them", () => {
  for (const [lo, hi, scale] of [
    [0, 5.5, "linear"],
    [-2, 1, "log"],
    [-12, 30, "log"],
    [0.1, 0.2, "log"],
  ] as const) {
    const levels = contourLevels(lo, hi, scale);
    assert.ok(levels.length >= 3 && levels.length <= 20, `${levels.length} levels`);
    assert.ok(levels.every((v, i) => v > lo && v < hi && (i === 0 || v > at(levels, i - 1))));
    const coordinate = levelCoordinate(levels);
    levels.forEach((v, i) => {
      assert.ok(Math.abs(coordinate(v) - i) < 1e-9);
    });
    assert.ok(coordinate(lo) < 0 && coordinate(hi) > levels.length - 1);
  }
});
