import assert from "node:assert/strict";
import { test } from "node:test";
import { at } from "../../src/model/access.ts";
import { choiceName, shortName } from "../../src/model/format.ts";
import { messageTexts } from "../../src/model/messages.ts";
import { capturedText, makePath, pointOf } from "../../src/model/path.ts";
import type { Snapshot } from "../../src/model/wire.ts";
import {
  describeCenter,
  describeCheckpoint,
  describePicture,
  describePoint,
  isLong,
  pointState,
} from "../../src/panel/readout.ts";
import { fieldOf, makeMeta, plane, run } from "../support/make.ts";

test("a checkpoint is described with its distance from the picture", () => {
  const path = makePath(run, plane);
  assert.equal(
    describeCheckpoint(path, plane, 0),
    "checkpoint 0 · loss 4 · surface 3 · accuracy 50.0 % · 50.0 % outside the plane · learning rate 0.1",
  );
  assert.match(describeCheckpoint(path, plane, 1), /^checkpoint 1 · loss not known · surface 4.5/);
  assert.equal(capturedText(path), "The plane captures 83 % of the path’s variation");
  assert.equal(capturedText({ ...path, captured: null }), null);
  assert.match(describePicture(plane, "surface", path), /training path of 4 checkpoints\. The plane captures 83 %/);
  assert.doesNotMatch(describePicture(plane, "line", path), /path/);
  assert.deepEqual(messageTexts({ meta: null, field: plane, stale: false, silent: false, path }), [capturedText(path)]);
  assert.deepEqual(pointOf(path, 2, plane), { column: 4, row: 1, checkpoint: 2 });
});

test("the readout shows the place, the values with their errors, and the state", () => {
  const snapshot: Snapshot = {
    nAlpha: 2,
    nBeta: 2,
    layers: new Map([
      ["loss", Float32Array.of(1.5, 2, NaN, NaN)],
      ["loss_stderr", Float32Array.of(0.25, NaN, NaN, NaN)],
      ["accuracy", Float32Array.of(0.5, 0.25, 0, NaN)],
      ["evaluated", Float32Array.of(1, 0, 1, 0)],
    ]),
  };
  const f = fieldOf(2, 2, (r, c) => at([1.5, 2, NaN, NaN], 2 * r + c));
  assert.equal(
    describePoint(snapshot, f, { row: 0, column: 0 }),
    "alpha −1 · beta −1 · loss 1.5 ± 0.25 · accuracy 50.0 % · evaluated",
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => pointState(snapshot, "loss", i)),
    ["evaluated", "interpolated", "not finite", "not computed yet"],
  );
  assert.match(describePicture(f, "surface"), /^Loss surface, 2 by 2 points, alpha from −1 to 1, .* from 1.5 to 2$/);
});

test("a point at which model or loss failed shows the reason, others that have no value do not", () => {
  const layers = new Map([
    ["loss", Float32Array.of(1.5, NaN, NaN, Infinity)],
    ["accuracy", Float32Array.of(0.5, NaN, 0.25, 0.5)],
    ["evaluated", Float32Array.of(1, 1, 1, 1)],
  ]);
  const reason = "RuntimeError: cholesky:\n not positive-definite (in the loss, called with (8, 6) float32)";
  const snapshot: Snapshot = { nAlpha: 2, nBeta: 2, layers, failed: { at: new Set([1, 3]), reason } };
  const f = fieldOf(2, 2, (r, c) => at([1.5, NaN, NaN, Infinity], 2 * r + c));
  const line = reason.replace("\n", "");
  assert.equal(describePoint(snapshot, f, { row: 0, column: 1 }), `alpha 1 · beta −1 · no value here: ${line}`);
  assert.match(describePoint(snapshot, f, { row: 1, column: 0 }), /accuracy 25.0 % · not finite$/);
  assert.match(describePoint(snapshot, f, { row: 1, column: 1 }), /not finite$/); // its eigenvalues failed
  assert.ok(isLong(snapshot));
  const long = { ...snapshot, failed: { at: new Set([1]), reason: "x".repeat(500) } };
  assert.ok(describePoint(long, f, { row: 0, column: 1 }).length < 220);
  const path = makePath(run, plane);
  const failed = { at: [1], reason: "ValueError: no" };
  assert.match(
    describeCheckpoint(path, plane, 1, failed),
    /^checkpoint 1 · no value here: ValueError: no · surface 4.5/,
  );
  assert.doesNotMatch(describeCheckpoint(path, plane, 0, failed), /no value/);
  assert.match(describePicture(f, "surface", null, 2), /; no value at 2 points$/);
});

test("eigenvalues are shown with their residuals; layers about their computation only if drawn", () => {
  const values = {
    loss: [1.5, 1],
    lambda_min: [-9.259, NaN],
    residual_min: [0.0146, 0.02],
    lambda_max: [69.857, 2],
    residual_max: [6.7e-5, 0.5],
    convexity: [0.13254, NaN],
    hvps: [15, 40],
    evaluated: [1, 1],
  };
  const snapshot: Snapshot = {
    nAlpha: 2,
    nBeta: 1,
    layers: new Map(Object.entries(values).map(([name, v]) => [name, Float32Array.from(v)])),
  };
  const told = (column: number, quantity = "loss"): string =>
    describePoint(
      snapshot,
      fieldOf(1, 2, () => 1, { quantity }),
      { row: 0, column },
    );
  assert.equal(
    told(0),
    "alpha −1 · beta −1 · loss 1.5 · λmin −9.26 ± 0.015 · λmax 69.9 · |λmin/λmax| 0.133 · evaluated",
  );
  assert.equal(told(1), "alpha 1 · beta −1 · loss 1 · λmin 0 ± 0.02 · λmax 2 ± 0.5 · evaluated");
  const later = {
    ...snapshot,
    layers: new Map(
      [...snapshot.layers].map(([name, v]) => [name, /^(loss|evaluated)$/.test(name) ? v : v.map(() => NaN)]),
    ),
  };
  const before = (quantity: string): string =>
    describePoint(
      later,
      fieldOf(1, 2, () => 1, { quantity }),
      { row: 0, column: 0 },
    );
  assert.equal(before("loss"), "alpha −1 · beta −1 · loss 1.5 · evaluated · eigenvalues not computed yet");
  assert.equal(before("lambda_min"), "alpha −1 · beta −1 · loss 1.5 · not computed yet");
  assert.match(told(0, "hvps"), / · hvps 15 · loss 1.5 · λmin/);
  const center = {
    loss: 0.00256,
    loss_stderr: 0.0001,
    lambda_min: null,
    residual_min: 0.02,
    lambda_max: 0.55432,
    convexity: null,
    hvps: 40,
  };
  assert.equal(
    describeCenter(makeMeta(3, 3, { center })),
    "At the center: loss 0.00256 ± 0.0001 · λmin 0 ± 0.02 · λmax 0.554",
  );
  assert.equal(describeCenter(makeMeta(3, 3, { center: { loss: null, lambda_min: null } })), "");
  assert.deepEqual(
    [
      isLong(snapshot),
      isLong({
        layers: new Map([
          ["loss", new Float32Array(1)],
          ["loss_stderr", new Float32Array(1)],
        ]),
      }),
    ],
    [true, false],
  );
  assert.deepEqual(["convexity", "accuracy_stderr"].map(shortName), ["|λmin/λmax|", "Accuracy error"]);
  assert.equal(choiceName("convexity"), "Convexity");
});
