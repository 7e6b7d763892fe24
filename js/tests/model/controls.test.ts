import assert from "node:assert/strict";
import { test } from "node:test";
import { type Controls, DEFAULTS, isStale } from "../../src/model/controls.ts";
import { makeMeta } from "../support/make.ts";

test("a picture with one point in a wide range is not stale", () => {
  const meta = { shape: [1, 5], alpha: [-1, 1], beta: [0, 0], seed: 0 };
  const controls = { alpha: [-1, 1], beta: [-1, 1], seed: 0, resolution: [5, 1] };
  assert.equal(isStale(meta as never, controls as never), false);
  assert.equal(isStale({ ...meta, alpha: [-2, 2] } as never, controls as never), true);
});

test("a picture is stale if a range, the seed or the resolution was changed since", () => {
  const controls: Controls = { ...DEFAULTS, resolution: [5, 3] };
  assert.equal(isStale(makeMeta(3, 5), controls), false);
  assert.equal(isStale(makeMeta(3, 5, { seed: null }), { ...controls, seed: 7 }), false);
  for (const change of [
    { seed: 1 },
    { alpha: [-1, 2] },
    { beta: [-0.99, 1] },
    { resolution: [3, 5] },
  ] as Partial<Controls>[]) {
    assert.equal(isStale(makeMeta(3, 5), { ...controls, ...change }), true);
  }
});
