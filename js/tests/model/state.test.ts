import assert from "node:assert/strict";
import { test } from "node:test";
import { commonRanges } from "../../src/group.ts";
import { at } from "../../src/model/access.ts";
import { DEFAULTS } from "../../src/model/controls.ts";
import { emptyState, hasPatch, rangesOf, takeControls, takeFrame } from "../../src/model/state.ts";
import { decodeFrame, parseMeta } from "../../src/model/wire.ts";
import { readGolden, viewOf } from "../support/golden.ts";
import { fieldOf, line, makeMeta } from "../support/make.ts";

const snapshot = (nAlpha: number, nBeta: number, values: number[]) => ({
  nAlpha,
  nBeta,
  layers: new Map([["loss", new Float32Array(values)]]),
});

test("new values of checkpoints change the path and nothing else", () => {
  const [{ meta, frame_base64: text }] = readGolden("wire");
  const frame = viewOf(text);
  const parsed = parseMeta(meta);
  assert.deepEqual(parsed?.marks, { a: [0, 0], b: [1.5, 0], c: [0.5, 0.25] });
  const state = emptyState();
  const take = (json: unknown): void => {
    takeFrame(state, frame, json);
    takeControls(state, DEFAULTS, () => null);
  };
  take(meta);
  assert.deepEqual(
    state.path?.checkpoints.map((c) => [c.label, c.real]),
    [
      ["epoch 0", NaN],
      ["epoch 1", 3.5],
      ["epoch 2", 0],
    ],
  );
  assert.deepEqual(at(state.path?.checkpoints, 2).drop, [0.1, 0.01]);
  const { field, path, marks } = state;
  take(structuredClone(meta));
  assert.ok(state.field === field && state.path === path && state.marks === marks);
  const later = structuredClone(meta);
  later.trajectory.values.loss[0] = 2;
  take(later);
  assert.ok(state.field === field && state.path !== path);
  assert.equal(at(state.path?.checkpoints, 0).real, 2);
  delete later.trajectory;
  take({ ...later });
  assert.equal(state.path, null);
});

test("the seeds that Python wrote are separated, and the chosen one is shown", () => {
  const [{ seeds }] = readGolden("wire");
  const frame = viewOf(seeds.frame_base64);
  const meta = parseMeta(seeds.meta);
  assert.deepEqual(meta?.seeds, [4, 7]);
  const all = decodeFrame(frame, meta as NonNullable<typeof meta>);
  assert.deepEqual(
    all?.seeds?.map((layers) => [...(layers.get("loss") ?? [])].slice(1)),
    seeds.loss.map((rows: number[][]) => rows.flat().slice(1)),
  );
  assert.equal(decodeFrame(frame, { ...(meta as NonNullable<typeof meta>), seeds: [4] }), null);
  const state = emptyState();
  const valueFor = (seed: number): number | undefined => {
    takeFrame(state, frame, seeds.meta);
    takeControls(state, { ...DEFAULTS, seed }, () => null);
    return state.field?.values[5];
  };
  assert.deepEqual([4, 7, 99, 4].map(valueFor), [6, 60, 6, 6]);
  const { field } = state;
  valueFor(4);
  assert.equal(state.field, field);
});

test("compared lines also share the second axis", () => {
  const lines = [
    [0.5, 0.75, 0.5],
    [0.25, 1, 0.25],
  ].map((accuracy) => ({
    ...emptyState(),
    decoded: line({ loss: [1, 2, 3], accuracy, evaluated: [1, 1, 1] }),
    snapshotMeta: makeMeta(1, 3),
  }));
  for (const state of lines) takeControls(state, DEFAULTS, () => null);
  assert.deepEqual(
    lines.map(({ field }) => [field?.second?.lo, field?.second?.hi]),
    [
      [0.5, 0.75],
      [0.25, 1],
    ],
  );
  const common = commonRanges(lines.map(({ field }) => ({ ranges: () => rangesOf(field) })));
  for (const state of lines) takeControls(state, DEFAULTS, (key) => common.get(key) ?? null);
  assert.deepEqual(
    lines.map(({ field }) => [field?.second?.lo, field?.second?.hi]),
    [
      [0.25, 1],
      [0.25, 1],
    ],
  );
  assert.equal(fieldOf(2, 2, () => 1).second, undefined);
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
