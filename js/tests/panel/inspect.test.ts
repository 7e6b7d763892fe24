import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectionRows } from "../../src/panel/inspect.ts";

test("an inspected point shows its principal curvatures, and a smallest eigenvalue only if there is one", () => {
  const base = {
    status: "done" as const,
    alpha: 0,
    beta: 0,
    loss: 0.5,
    gradient_norm: 2,
    lambda_max: 4,
    residual_min: 0.01,
  };
  const rows = new Map(inspectionRows({ ...base, lambda_min: null, f_aa: 1, f_ab: 2, f_bb: 1 }));
  assert.equal(rows.get("λmin"), "0 ± 0.01");
  assert.equal(rows.get("curvature in the plane"), "−1 and 3");
  assert.equal(new Map(inspectionRows({ ...base, lambda_min: -0.5 })).get("λmin"), "−0.5");
});
