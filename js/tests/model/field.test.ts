import assert from "node:assert/strict";
import { test } from "node:test";
import { alphaAt, betaAt, interpolate, locate, makeField } from "../../src/model/field.ts";
import type { Snapshot } from "../../src/model/wire.ts";
import { fieldOf } from "../support/make.ts";

const snapshot: Snapshot = {
  nAlpha: 2,
  nBeta: 2,
  layers: new Map([
    ["loss", new Float32Array([1, 10, 100, 1000])],
    ["convexity", new Float32Array([0.01, 0.1, NaN, 0.7])],
  ]),
};

test("convexity is colored on the linear scale of the paper unless limits are given", () => {
  const field = (more: object) =>
    makeField(snapshot, [-1, 1], [-1, 1], { quantity: "loss", scale: "log", color: "convexity", ...more });
  assert.deepEqual([field({}).color.lo, field({}).color.hi], [0, 0.5]);
  assert.equal(field({}).color.scale, "linear");
  assert.deepEqual([field({ color_limits: [0, 0.1] }).color.lo, field({ color_limits: [0, 0.1] }).color.hi], [0, 0.1]);
  assert.ok(Number.isNaN(field({}).color.z[2]));
});

test("rows are beta, columns are alpha, and interpolation meets the grid points", () => {
  const f = fieldOf(3, 5, (r, c) => 10 * r + c, { alpha: [-2, 2], beta: [0, 1] });
  assert.equal(alphaAt(f, 3), 1);
  assert.equal(betaAt(f, 1), 0.5);
  assert.deepEqual(locate(f, 1, 0.5), { column: 3, row: 1 });
  assert.equal(locate(f, 2.1, 0.5), null);
  assert.equal(interpolate(f, 3, 1), 13);
  assert.equal(interpolate(f, 3.5, 1.5), 18.5);
  assert.equal(interpolate(f, 4, 2), 24);
});

test("zero on the grid is exactly zero despite rounding", () => {
  const f = fieldOf(21, 21, () => 1, { alpha: [-0.7615, 4.318], beta: [-0.143, 0.077] });
  assert.ok(Array.from({ length: 21 }, (_, i) => betaAt(f, i)).includes(0));
});
