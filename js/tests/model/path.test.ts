import assert from "node:assert/strict";
import { test } from "node:test";
import { at } from "../../src/model/access.ts";
import { makeChannel } from "../../src/model/channel.ts";
import { findDrops, makePath, namedCheckpoints, opacityOf, reachOf } from "../../src/model/path.ts";
import type { Trajectory } from "../../src/model/wire.ts";
import { fieldOf, plane, run } from "../support/make.ts";

test("checkpoints lie where they are projected, at their real heights, beside those of the surface", () => {
  const { checkpoints } = makePath(run, plane);
  assert.deepEqual(
    checkpoints.map((c) => [c.column, c.row]),
    [
      [1, 1],
      [2, 1.5],
      [5, 1],
      [NaN, 1],
    ],
  );
  assert.deepEqual(
    checkpoints.map((c) => c.real),
    [4, NaN, 1, 1],
  );
  assert.deepEqual(
    checkpoints.map((c) => c.surface),
    [3, 4.5, NaN, NaN],
  );
  assert.deepEqual(
    checkpoints.map((c) => c.drop),
    [null, null, [0.1, 0.01], null],
  );
  const log = makePath(
    run,
    fieldOf(3, 5, () => 10, { scale: "log" }),
  );
  assert.equal(at(log.checkpoints, 0).real, Math.log10(4));
  const share = makePath(
    run,
    fieldOf(3, 5, () => 0.5, { quantity: "accuracy" }),
  );
  assert.deepEqual(
    share.checkpoints.map((c) => c.real),
    [0.5, 0.75, NaN, 1],
  );
  assert.ok(
    makePath(
      run,
      fieldOf(3, 5, () => 0.5, { quantity: "other" }),
    ).checkpoints.every((c) => Number.isNaN(c.real)),
  );
});

test("the further from the plane, the paler, and nothing vanishes", () => {
  assert.equal(opacityOf(0), 1);
  const shares = [0, 0.2, 0.4, 0.6, 0.8, 1].map(opacityOf);
  assert.ok(shares.every((o, i) => o >= 0.25 && (i === 0 || o < at(shares, i - 1))));
});

test("lowered learning rates are found, schedules are not", () => {
  assert.deepEqual(findDrops([0.1, 0.1, 0.01, 0.001]), [null, null, [0.1, 0.01], [0.01, 0.001]]);
  assert.deepEqual(findDrops([1, 0.95, 0.9, 0.7]), [null, null, null, null]);
  assert.ok(findDrops(Array.from({ length: 12 }, (_, i) => 0.5 ** i)).every((d) => d === null));
  assert.deepEqual(
    findDrops([0.1, 0.03, 0.1, 0.07, 0.04, 0.02, 0.005]),
    Array(7).fill(null),
    "a warm-up, then a half cosine",
  );
  assert.deepEqual(findDrops([0.1, null, 0.01]), [null, null, null]);
  assert.deepEqual(findDrops(null), []);
});

test("the ends are named first, then lowered rates, then epochs; a narrow picture has the first two", () => {
  const labels = ["epoch 0", ...Array.from({ length: 7 }, (_, i) => (i % 2 ? `epoch ${(i + 1) / 2}` : `step ${i}`))];
  const n = labels.length;
  const long: Trajectory = {
    ...run,
    labels,
    alpha: Array(n).fill(0),
    beta: Array(n).fill(0),
    outside: Array(n).fill(0),
    learning_rate: labels.map((_, i) => (i < 5 ? 1 : 0.1)),
  };
  const path = makePath(long, plane);
  const named = namedCheckpoints(path, false);
  assert.deepEqual(
    named.slice(0, 3).map((c) => c.index),
    [n - 1, 0, 5],
  );
  assert.match(at(named, 2).text, /lr 1 → 0\.1$/);
  assert.ok(named.slice(3).length > 0 && named.slice(3).every((c) => c.text.startsWith("epoch")));
  assert.equal(namedCheckpoints(path, true).length, 3);
  assert.deepEqual(
    namedCheckpoints(makePath(run, plane), true)
      .map((c) => c.text)
      .slice(0, 2),
    ["checkpoint 3", "checkpoint 0"],
  );
  assert.deepEqual(namedCheckpoints(makePath({ ...run, labels: [] }, plane), false), []);
});

test("the scale contains the real heights, but is not flattened by one that is far off", () => {
  assert.deepEqual(reachOf(run, "loss"), [1, 4]);
  assert.equal(reachOf(run, "other"), null);
  assert.equal(reachOf(undefined, "loss"), null);
  const values = Float32Array.from({ length: 30 }, (_, i) => 1 + i / 29);
  assert.deepEqual(makeChannel("loss", values, "linear", { reach: [0.5, 3] }).own, [0.5, 3]);
  assert.deepEqual(makeChannel("loss", values, "linear", { reach: [1.2, 1e6] }).own, [1, 2]);
  assert.deepEqual(makeChannel("loss", values, "log", { reach: [0, 4] }).own, [0, Math.log10(4)]);
});
