import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, formatNumber, formatRemaining, formatValue } from "../../src/model/format.ts";

test("numbers are short and keep their meaning", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [1, "1"],
    [0.02134, "0.02134"],
    [2.30239, "2.302"],
    [13876, "13876"],
    [1e6, "10⁶"],
    [1.234e-7, "1.234×10⁻⁷"],
    [-0.5, "−0.5"],
    [NaN, "NaN"],
    [Infinity, "∞"],
  ];
  for (const [value, text] of cases) assert.equal(formatNumber(value), text);
  assert.equal(formatValue(0.98765, "accuracy"), "98.8 %");
});

test("durations are text", () => {
  assert.deepEqual([0.2, 3.21, 45, 89, 240, 7500].map(formatDuration), [
    "less than 1 s",
    "3.2 s",
    "45 s",
    "89 s",
    "4 min",
    "2 h 5 min",
  ]);
  assert.equal(formatRemaining(11.4), "about 12 s left");
  assert.equal(formatRemaining(11.4, true), "at most 12 s left");
  assert.equal(formatRemaining(null), "");
});
