import assert from "node:assert/strict";
import { test } from "node:test";
import type { Snapshot } from "../../src/model/wire.ts";
import { progressText, spokenProgress } from "../../src/panel/progress.ts";
import { pointState } from "../../src/panel/readout.ts";
import { makeMeta } from "../support/make.ts";

test("there is a progress text for every status", () => {
  const meta = makeMeta(51, 51, { n_done: 123, remaining_s: 12 });
  assert.equal(progressText(meta), "123 of 2601 points · about 12 s left");
  assert.equal(progressText({ ...meta, status: "paused" }), "Paused · 123 of 2601 points");
  assert.equal(progressText({ ...meta, status: "stopped" }), "Stopped · 123 of 2601 points");
  assert.equal(progressText({ ...meta, status: "error" }), "Ended by an error · 123 of 2601 points");
  assert.equal(progressText({ ...meta, at_most: true }), "123 of 2601 points · at most 12 s left");
  assert.equal(progressText({ ...meta, status: "done", elapsed_s: 3.2, n_done: 2601 }), "2601 points in 3.2 s");
  assert.equal(progressText({ ...meta, status: "done", elapsed_s: 3.2, n_done: 433 }), "433 of 2601 points in 3.2 s");
  assert.equal(progressText(null), "Waiting for the kernel");
});

test("points at which model or loss failed are counted", () => {
  const meta = makeMeta(51, 51, { n_done: 123, remaining_s: 12, failed: { at: [3, 7], reason: "ValueError: no" } });
  assert.equal(progressText(meta), "123 of 2601 points · 2 failed · about 12 s left");
  assert.equal(progressText({ ...meta, status: "stopped" }), "Stopped · 123 of 2601 points · 2 failed");
  assert.equal(
    progressText({ ...meta, status: "done", elapsed_s: 3.2, n_done: 2601 }),
    "2601 points in 3.2 s · 2 failed",
  );
  assert.equal(
    progressText({ ...meta, status: "done", elapsed_s: 3.2, n_done: 433 }),
    "433 of 2601 points in 3.2 s · 2 failed",
  );
  assert.equal(spokenProgress(meta), "Computing, 0 percent of 2601 points. Some points have no value");
});

test("eigenvalues are counted separately", () => {
  const layers = ["loss", "lambda_min", "lambda_max", "convexity", "evaluated"];
  const meta = makeMeta(15, 15, { layers, n_points: 455, n_done: 100, remaining_s: 12 });
  assert.equal(progressText(meta), "100 of 230 points · about 12 s left");
  assert.equal(progressText({ ...meta, n_done: 250 }), "eigenvalues at 20 of 225 points · about 12 s left");
  assert.equal(progressText({ ...meta, n_done: 455, status: "done", elapsed_s: 150 }), "230 points in 3 min");
  assert.equal(progressText({ ...meta, n_points: 225 }), "100 of 225 points · about 12 s left");
  assert.equal(
    progressText(makeMeta(1, 1, { layers, n_points: 2, n_done: 2, status: "done", elapsed_s: 2 })),
    "1 point in 2 s",
  );
});

test("a sketch shows its number of samples and its standard error until the points are known", () => {
  const sketch = { n: 512, n_samples: 50000, stderr: { loss: 0.0234, accuracy: 0.0123 } };
  const meta = makeMeta(51, 51, { n_done: 3, remaining_s: 720, sketch });
  assert.equal(
    progressText(meta, "loss"),
    "3 of 2601 points · about 12 min left · Sketch from 512 of 50,000 samples, ± 0.023",
  );
  assert.equal(
    progressText(meta, "accuracy"),
    "3 of 2601 points · about 12 min left · Sketch from 512 of 50,000 samples, ± 1.2 %",
  );
  assert.equal(
    progressText({ ...meta, status: "paused" }, "loss_stderr"),
    "Paused · 3 of 2601 points · Sketch from 512 of 50,000 samples",
  );
  assert.equal(spokenProgress(meta), "Computing, 0 percent of 2601 points. Sketch from 512 of 50,000 samples");
  assert.equal(spokenProgress(makeMeta(51, 51)), "Computing, 0 percent of 2601 points");
  const layers = new Map([
    ["loss", new Float32Array([0.5])],
    ["evaluated", new Float32Array([0])],
  ]);
  const snapshot: Snapshot = { nAlpha: 1, nBeta: 1, layers };
  assert.equal(pointState(snapshot, "loss", 0, true), "sketched");
  assert.equal(pointState(snapshot, "loss", 0), "interpolated");
});
