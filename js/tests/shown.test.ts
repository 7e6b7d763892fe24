// When a frame replaces the picture that is shown.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hasPatch } from "../src/model/state.ts";
import { isStale } from "../src/model/wire.ts";

const snapshot = (nAlpha: number, nBeta: number, values: number[]) => ({
  nAlpha,
  nBeta,
  layers: new Map([["loss", new Float32Array(values)]]),
});

test("a plane of which only the center is known has nothing to draw", () => {
  assert.equal(hasPatch(snapshot(3, 3, [NaN, NaN, NaN, NaN, 1, NaN, NaN, NaN, NaN])), false);
});

test("one cell with four known corners is drawn", () => {
  assert.equal(hasPatch(snapshot(3, 2, [NaN, 1, 2, NaN, 3, 4])), true);
  assert.equal(hasPatch(snapshot(3, 2, [1, NaN, 2, 3, NaN, 4])), false);
});

test("a line is drawn from two neighbors on, a point by itself", () => {
  assert.equal(hasPatch(snapshot(3, 1, [1, NaN, 2])), false);
  assert.equal(hasPatch(snapshot(1, 3, [NaN, 1, 2])), true);
  assert.equal(hasPatch(snapshot(1, 1, [1])), true);
  assert.equal(hasPatch(snapshot(1, 1, [Infinity])), false);
});

test("one point of a wide range is not waited for", () => {
  const meta = { shape: [1, 5], alpha: [-1, 1], beta: [0, 0], seed: 0 };
  const controls = { alpha: [-1, 1], beta: [-1, 1], seed: 0, resolution: [5, 1] };
  assert.equal(isStale(meta as never, controls as never), false);
  assert.equal(isStale({ ...meta, alpha: [-2, 2] } as never, controls as never), true);
});
