import assert from "node:assert/strict";
import { test } from "node:test";
import { makeField } from "../src/model/field.ts";
import { probeRows } from "../src/panel/inspect.ts";
import type { Snapshot } from "../src/model/wire.ts";

const snapshot: Snapshot = {
  nAlpha: 2,
  nBeta: 2,
  layers: new Map([
    ["loss", new Float32Array([1, 10, 100, 1000])],
    ["convexity", new Float32Array([0.01, 0.1, NaN, 0.7])],
  ]),
};

test("convexity colors on the paper's scale, linear also where the height is not, unless another one is given", () => {
  const field = (more: object) => makeField(snapshot, [-1, 1], [-1, 1], { quantity: "loss", scale: "log", color: "convexity", ...more });
  assert.deepEqual([field({}).color.lo, field({}).color.hi], [0, 0.5]);
  assert.equal(field({}).color.scale, "linear");
  assert.deepEqual([field({ color_limits: [0, 0.1] }).color.lo, field({ color_limits: [0, 0.1] }).color.hi], [0, 0.1]);
  assert.ok(Number.isNaN(field({}).color.z[2]));
});

test("a probed point tells principal curvatures, and a smallest eigenvalue only where there is one", () => {
  const base = { status: "done" as const, alpha: 0, beta: 0, loss: 0.5, gradient_norm: 2, lambda_max: 4, residual_min: 0.01 };
  const rows = new Map(probeRows({ ...base, lambda_min: null, f_aa: 1, f_ab: 2, f_bb: 1 }));
  assert.equal(rows.get("λmin"), "0 ± 0.01");
  assert.equal(rows.get("curvature in the plane"), "−1 and 3");
  assert.equal(new Map(probeRows({ ...base, lambda_min: -0.5 })).get("λmin"), "−0.5");
});
