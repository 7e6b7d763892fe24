// Several loaders and several seeds: which layers belong together, and what is shown of them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { layOutLegend, type Series } from "../src/plot/chart.ts";
import { isPercent, quantityName } from "../src/model/format.ts";
import { counterpart, partsOf, siblings } from "../src/model/layerNames.ts";
import { commonRanges } from "../src/group.ts";
import { chooseRun, reachOfCurves, secondQuantity } from "../src/model/seeds.ts";
import { nothing, rangesOf, takeControls, takeFrame } from "../src/model/state.ts";
import { DEFAULTS, decodeFrame, parseMeta, type Snapshot } from "../src/model/wire.ts";
import { fieldOf, makeMeta } from "./make.ts";

const line = (...layers: Record<string, number[]>[]): Snapshot => {
  const runs = layers.map((run) => new Map(Object.entries(run).map(([name, values]) => [name, Float32Array.from(values)])));
  return { nAlpha: 3, nBeta: 1, layers: runs[0], ...(runs.length > 1 ? { runs } : {}) };
};
const both = line({ train_loss: [1, 2, 3], train_loss_stderr: [0, 0, 0], train_accuracy: [1, 1, 1], test_loss: [5, 0.5, NaN], evaluated: [1, 1, 1] });

test("the name of a layer says which data, which quantity, and whether it is an error", () => {
  assert.deepEqual(partsOf("test_set_loss_stderr"), { loader: "test_set", base: "loss", isError: true });
  assert.deepEqual(partsOf("accuracy"), { loader: "", base: "accuracy", isError: false });
  assert.deepEqual(partsOf("lambda_min"), { loader: "", base: "lambda_min", isError: false });
  assert.deepEqual(["loss", "train_loss", "test_accuracy_stderr", "lambda_min"].map(quantityName), ["Loss", "Train loss", "Test accuracy, standard error", "Smallest eigenvalue"]);
  assert.ok(isPercent("test_accuracy") && isPercent("accuracy_stderr") && !isPercent("train_loss"));
});

test("layers of one quantity are drawn together, those of the other on the second axis", () => {
  assert.deepEqual(siblings(both, "test_loss"), ["train_loss", "test_loss"]);
  assert.deepEqual(siblings(both, "train_loss_stderr"), ["train_loss_stderr"]);
  assert.equal(counterpart(both, "train_loss", "accuracy"), "train_accuracy");
  assert.equal(counterpart(both, "test_loss", "accuracy"), null);
  const f = fieldOf(1, 3, () => 1, { quantity: "train_loss" });
  assert.equal(secondQuantity(both, f), "train_accuracy");
  assert.equal(secondQuantity(both, fieldOf(1, 3, () => 1, { quantity: "train_loss_stderr" })), null);
  assert.deepEqual(reachOfCurves(both, "train_loss"), [0.5, 5]);
  assert.equal(reachOfCurves(line({ loss: [1, 2, 3] }), "loss"), null);
  assert.equal(reachOfCurves({ ...both, nBeta: 2 }, "train_loss"), null);
});

test("of lines the mean is shown, of surfaces the chosen one", () => {
  const runs = line({ loss: [1, 2, NaN], loss_stderr: [9, 9, 9], evaluated: [1, 1, 1] }, { loss: [3, 4, 5], loss_stderr: [9, 9, 9], evaluated: [1, 0, 1] });
  const mean = chooseRun(runs, 1);
  assert.deepEqual([...(mean.layers.get("loss") ?? [])], [2, 3, 5]);
  assert.deepEqual([...(mean.layers.get("evaluated") ?? [])], [1, 0, 1]);
  assert.ok(!mean.layers.has("loss_stderr"));
  assert.deepEqual(reachOfCurves(mean, "loss"), [1, 5]);
  const plane = { ...runs, nAlpha: 2, nBeta: 2 };
  assert.equal(chooseRun(plane, 1).layers, runs.runs?.[1]);
  assert.equal(chooseRun(plane, -1).layers, runs.runs?.[0]);
  assert.equal(chooseRun(both, 0), both);
});

test("the seeds Python wrote are told apart, and the chosen one is shown", () => {
  const { seeds } = JSON.parse(readFileSync(fileURLToPath(new URL("../../tests/golden/wire.json", import.meta.url)), "utf8"));
  const bytes = Buffer.from(seeds.frame_base64, "base64");
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const meta = parseMeta(seeds.meta);
  assert.deepEqual(meta?.seeds, [4, 7]);
  const all = decodeFrame(frame, meta as NonNullable<typeof meta>);
  assert.deepEqual(all?.runs?.map((run) => [...(run.get("loss") ?? [])].slice(1)), seeds.loss.map((rows: number[][]) => rows.flat().slice(1)));
  assert.equal(decodeFrame(frame, { ...(meta as NonNullable<typeof meta>), seeds: [4] }), null);
  const shown = nothing();
  const valueFor = (seed: number): number | undefined => {
    takeFrame(shown, frame, seeds.meta);
    takeControls(shown, { ...DEFAULTS, seed }, () => null);
    return shown.field?.values[5];
  };
  assert.deepEqual([4, 7, 99, 4].map(valueFor), [6, 60, 6, 6]);
  const { field } = shown;
  valueFor(4);
  assert.equal(shown.field, field);
});

test("the legend takes the rows it needs", () => {
  const ctx = { measureText: (text: string) => ({ width: 7 * text.length }) } as unknown as CanvasRenderingContext2D;
  const theme = { dark: false, background: "", text: "", muted: "", grid: "", pane: "", accent: "", font: "sans-serif" };
  const series = ["Train loss", "Test loss", "Train accuracy"].map((name): Series => ({ name, side: "left", y: [], color: "#000", style: "solid" }));
  assert.equal(layOutLegend(ctx, theme, series, 800).count, 1);
  const { entries, count } = layOutLegend(ctx, theme, series, 240, "of 5 seeds");
  assert.equal(count, 2);
  assert.deepEqual(entries.map((e) => e.row), [0, 0, 1, 1]);
});

test("lines that are compared have the second axis in common, too", () => {
  const lines = [[0.5, 0.75, 0.5], [0.25, 1, 0.25]].map((accuracy) => ({ ...nothing(), decoded: line({ loss: [1, 2, 3], accuracy, evaluated: [1, 1, 1] }), snapshotMeta: makeMeta(1, 3) }));
  for (const shown of lines) takeControls(shown, DEFAULTS, () => null);
  assert.deepEqual(lines.map(({ field }) => [field?.second?.lo, field?.second?.hi]), [[0.5, 0.75], [0.25, 1]]);
  const common = commonRanges(lines.map(({ field }) => ({ ranges: () => rangesOf(field) })));
  for (const shown of lines) takeControls(shown, DEFAULTS, (key) => common.get(key) ?? null);
  assert.deepEqual(lines.map(({ field }) => [field?.second?.lo, field?.second?.hi]), [[0.25, 1], [0.25, 1]]);
  assert.equal(fieldOf(2, 2, () => 1).second, undefined);
});
