import assert from "node:assert/strict";
import { test } from "node:test";
import { counterpart, siblings } from "../../src/model/layerNames.ts";
import { bandOfSeeds, chooseSeed, reachOfCurves, secondQuantity } from "../../src/model/seeds.ts";
import { both, fieldOf, line } from "../support/make.ts";

test("layers of one quantity are drawn together, those of the other on the second axis", () => {
  assert.deepEqual(siblings(both, "test_loss"), ["train_loss", "test_loss"]);
  assert.deepEqual(siblings(both, "train_loss_stderr"), ["train_loss_stderr"]);
  assert.equal(counterpart(both, "train_loss", "accuracy"), "train_accuracy");
  assert.equal(counterpart(both, "test_loss", "accuracy"), null);
  const f = fieldOf(1, 3, () => 1, { quantity: "train_loss" });
  assert.equal(secondQuantity(both, f), "train_accuracy");
  assert.equal(
    secondQuantity(
      both,
      fieldOf(1, 3, () => 1, { quantity: "train_loss_stderr" }),
    ),
    null,
  );
  assert.deepEqual(reachOfCurves(both, "train_loss"), [0.5, 5]);
  assert.equal(reachOfCurves(line({ loss: [1, 2, 3] }), "loss"), null);
  assert.equal(reachOfCurves({ ...both, nBeta: 2 }, "train_loss"), null);
});

test("lines show the median of the seeds, surfaces the chosen seed", () => {
  const seeds = line(
    { loss: [1, 2, NaN], loss_stderr: [9, 9, 9], evaluated: [1, 1, 1] },
    { loss: [3, 4, 5], loss_stderr: [9, 9, 9], evaluated: [1, 0, 1] },
  );
  const shown = chooseSeed(seeds, 1);
  assert.deepEqual([...(shown.layers.get("loss") ?? [])], [2, 3, 5]);
  assert.deepEqual([...(shown.layers.get("evaluated") ?? [])], [1, 0, 1]);
  assert.ok(!shown.layers.has("loss_stderr"));
  assert.deepEqual(reachOfCurves(shown, "loss"), [1, 5]);
  const plane = { ...seeds, nAlpha: 2, nBeta: 2 };
  assert.equal(chooseSeed(plane, 1).layers, seeds.seeds?.[1]);
  assert.equal(chooseSeed(plane, -1).layers, seeds.seeds?.[0]);
  assert.equal(chooseSeed(both, 0), both);
});

test("points that failed belong to their seed; of lines they are those of any seed", () => {
  const seeds = line(
    { loss: [1, NaN, 3, 4], evaluated: [1, 1, 1, 1] },
    { loss: [2, 5, NaN, 4], evaluated: [1, 1, 1, 1] },
  );
  const failed = { at: new Set([1, 6]), reason: "no" };
  assert.deepEqual([...(chooseSeed({ ...seeds, failed, nAlpha: 4 }, 0).failed?.at ?? [])], [1, 2]);
  const plane = { ...seeds, failed, nAlpha: 2, nBeta: 2 };
  assert.deepEqual([...(chooseSeed(plane, 0).failed?.at ?? [])], [1]);
  assert.deepEqual([...(chooseSeed(plane, 1).failed?.at ?? [])], [2]);
  assert.equal(chooseSeed(seeds, 1).failed, undefined);
});

test("several seeds form a band of their median and quartiles, with gaps", () => {
  const { median, low, high } = bandOfSeeds([
    [1, 2, NaN],
    [3, NaN, NaN],
    [9, Infinity, NaN],
  ]);
  assert.deepEqual(
    [[...median], [...low], [...high]],
    [
      [3, 2, NaN],
      [2, 2, NaN],
      [6, 2, NaN],
    ],
  );
});
