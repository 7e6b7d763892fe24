import assert from "node:assert/strict";
import { test } from "node:test";
import { interpolateCividis, interpolateMagma, interpolateViridis } from "d3-scale-chromatic";
import { choiceName, formatDuration, formatNumber, formatRemaining, formatValue, shortName, tickLabels } from "../src/model/format.ts";
import { emptyText, noteTexts, notesRoom } from "../src/model/messages.ts";
import { colorTable, cssColor } from "../src/model/palette.ts";
import { progressText, spokenProgress } from "../src/panel/progress.ts";
import { boundFor, editRange } from "../src/panel/range.ts";
import { describeCenter, describePoint, describePicture, isLong, pointState } from "../src/model/readout.ts";
import { parseSeed } from "../src/panel/seed.ts";
import { contourLevels, levelCoordinate, linearTicks, valueTicks } from "../src/model/ticks.ts";
import type { Field } from "../src/model/field.ts";
import type { Snapshot } from "../src/model/wire.ts";
import { fieldOf, makeMeta } from "./make.ts";

test("numbers are short and keep their meaning", () => {
  const cases: [number, string][] = [[0, "0"], [1, "1"], [0.02134, "0.02134"], [2.30259, "2.303"], [13876, "13876"], [1e6, "10⁶"], [1.234e-7, "1.234×10⁻⁷"], [-0.5, "−0.5"], [NaN, "NaN"], [Infinity, "∞"]];
  for (const [value, text] of cases) assert.equal(formatNumber(value), text);
  assert.equal(formatValue(0.98765, "accuracy"), "98.8 %");
});

test("durations are words", () => {
  assert.deepEqual([0.2, 3.21, 45, 89, 240, 7500].map(formatDuration), ["less than 1 s", "3.2 s", "45 s", "89 s", "4 min", "2 h 5 min"]);
  assert.equal(formatRemaining(11.4), "about 12 s left");
  assert.equal(formatRemaining(11.4, true), "at most 12 s left");
  assert.equal(formatRemaining(null), "");
});

test("progress is told for every status", () => {
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

test("eigenvalues are counted by themselves", () => {
  const layers = ["loss", "lambda_min", "lambda_max", "convexity", "evaluated"];
  const meta = makeMeta(15, 15, { layers, n_points: 455, n_done: 100, remaining_s: 12 });
  assert.equal(progressText(meta), "100 of 230 points · about 12 s left");
  assert.equal(progressText({ ...meta, n_done: 250 }), "eigenvalues at 20 of 225 points · about 12 s left");
  assert.equal(progressText({ ...meta, n_done: 455, status: "done", elapsed_s: 150 }), "230 points in 3 min");
  assert.equal(progressText({ ...meta, n_points: 225 }), "100 of 225 points · about 12 s left");
  assert.equal(progressText(makeMeta(1, 1, { layers, n_points: 2, n_done: 2, status: "done", elapsed_s: 2 })), "1 point in 2 s");
});

test("a sketch says from how many samples it is, and how exact, until its points are known", () => {
  const sketch = { n: 512, n_samples: 50000, stderr: { loss: 0.0234, accuracy: 0.0123 } };
  const meta = makeMeta(51, 51, { n_done: 3, remaining_s: 720, sketch });
  assert.equal(progressText(meta, "loss"), "3 of 2601 points · about 12 min left · Sketch from 512 of 50,000 samples, ± 0.023");
  assert.equal(progressText(meta, "accuracy"), "3 of 2601 points · about 12 min left · Sketch from 512 of 50,000 samples, ± 1.2 %");
  assert.equal(progressText({ ...meta, status: "paused" }, "loss_stderr"), "Paused · 3 of 2601 points · Sketch from 512 of 50,000 samples");
  assert.equal(spokenProgress(meta), "Computing, 0 percent of 2601 points. Sketch from 512 of 50,000 samples");
  assert.equal(spokenProgress(makeMeta(51, 51)), "Computing, 0 percent of 2601 points");
  const layers = new Map([["loss", new Float32Array([0.5])], ["evaluated", new Float32Array([0])]]);
  const snapshot: Snapshot = { nAlpha: 1, nBeta: 1, layers };
  assert.equal(pointState(snapshot, "loss", 0, true), "sketched");
  assert.equal(pointState(snapshot, "loss", 0), "interpolated");
});

test("ticks of a log axis are labelled in original units", () => {
  assert.deepEqual(valueTicks(-2, 3, "log", 6).map((t) => t.label), ["0.01", "0.1", "1", "10", "100", "1000"]);
  assert.deepEqual(valueTicks(0, 1, "log", 5).map((t) => t.label), ["1", "2", "5", "10"]);
  assert.ok(valueTicks(0.3, 0.31, "log", 5).length >= 2);
  assert.deepEqual(linearTicks(0, 1, 5, true).map((t) => t.label), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
  assert.deepEqual(tickLabels([-0.5, 0, 0.5]), ["−0.5", "0.0", "0.5"]);
  assert.equal(linearTicks(0.3, 0.3, 5).length, 1);
});

test("contour levels lie inside the range and the level coordinate counts them", () => {
  for (const [lo, hi, scale] of [[0, 5.5, "linear"], [-2, 1, "log"], [-12, 30, "log"], [0.1, 0.2, "log"]] as const) {
    const levels = contourLevels(lo, hi, scale);
    assert.ok(levels.length >= 3 && levels.length <= 20, `${levels.length} levels`);
    assert.ok(levels.every((v, i) => v > lo && v < hi && (i === 0 || v > levels[i - 1])));
    const coordinate = levelCoordinate(levels);
    levels.forEach((v, i) => assert.ok(Math.abs(coordinate(v) - i) < 1e-9));
    assert.ok(coordinate(lo) < 0 && coordinate(hi) > levels.length - 1);
  }
});

test("an edited range is always finite with lo < hi", () => {
  assert.deepEqual(editRange([-1, 1], 0, -0.5, false), [-0.5, 1]);
  assert.deepEqual(editRange([-1, 1], 0, 2, false), [2, 4]);
  assert.deepEqual(editRange([-1, 1], 1, -3, false), [-5, -3]);
  assert.deepEqual(editRange([0, 0], 1, 0.3, true), [0.3, 0.3]);
  for (const bad of [NaN, Infinity, -Infinity, 1e9]) assert.equal(editRange([-1, 1], 1, bad, false), null);
  for (let i = 0; i < 500; i++) {
    const value = (Math.random() - 0.5) * 10 ** (6 * Math.random() - 3);
    const edited = editRange([-1, 1], i % 2 ? 0 : 1, value, false);
    assert.ok(edited && edited[0] < edited[1] && Number.isFinite(edited[0] + edited[1]));
  }
  assert.equal(boundFor([-1, 1]), 2);
  for (const range of [[-3, 1], [0, 99], [-1000, 5]] as [number, number][]) assert.ok(boundFor(range) > Math.max(...range.map(Math.abs)));
});

test("seeds are whole numbers from zero", () => {
  assert.deepEqual(["0", "7", "100", "-1", "1.5", "", "x", "1e99"].map(parseSeed), [0, 7, 100, null, null, null, null, null]);
});

test("the readout names place, values with their errors, and what they are", () => {
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
  const f = fieldOf(2, 2, (r, c) => [1.5, 2, NaN, NaN][2 * r + c]);
  assert.equal(describePoint(snapshot, f, { row: 0, column: 0 }), "alpha −1 · beta −1 · loss 1.5 ± 0.25 · accuracy 50.0 % · evaluated");
  assert.deepEqual([0, 1, 2, 3].map((i) => pointState(snapshot, "loss", i)), ["evaluated", "interpolated", "not finite", "not computed yet"]);
  assert.match(describePicture(f, "surface"), /^Loss surface, 2 by 2 points, alpha from −1 to 1, .* from 1.5 to 2$/);
});

test("eigenvalues are told with their residuals, and how they were computed only where it is drawn", () => {
  const values = { loss: [1.5, 1], lambda_min: [-9.259, NaN], residual_min: [0.0146, 0.02], lambda_max: [69.857, 2], residual_max: [6.7e-5, 0.5], convexity: [0.13254, NaN], hvps: [15, 40], evaluated: [1, 1] };
  const snapshot: Snapshot = { nAlpha: 2, nBeta: 1, layers: new Map(Object.entries(values).map(([name, v]) => [name, Float32Array.from(v)])) };
  const told = (column: number, quantity = "loss"): string => describePoint(snapshot, fieldOf(1, 2, () => 1, { quantity }), { row: 0, column });
  assert.equal(told(0), "alpha −1 · beta −1 · loss 1.5 · λmin −9.26 ± 0.015 · λmax 69.9 · |λmin/λmax| 0.133 · evaluated");
  assert.equal(told(1), "alpha 1 · beta −1 · loss 1 · λmin 0 ± 0.02 · λmax 2 ± 0.5 · evaluated");
  const later = { ...snapshot, layers: new Map([...snapshot.layers].map(([name, v]) => [name, /^(loss|evaluated)$/.test(name) ? v : v.map(() => NaN)])) };
  const before = (quantity: string): string => describePoint(later, fieldOf(1, 2, () => 1, { quantity }), { row: 0, column: 0 });
  assert.equal(before("loss"), "alpha −1 · beta −1 · loss 1.5 · evaluated · eigenvalues not computed yet");
  assert.equal(before("lambda_min"), "alpha −1 · beta −1 · loss 1.5 · not computed yet");
  assert.match(told(0, "hvps"), / · hvps 15 · loss 1.5 · λmin/);
  const center = { loss: 0.00256, loss_stderr: 0.0001, lambda_min: null, residual_min: 0.02, lambda_max: 0.55432, convexity: null, hvps: 40 };
  assert.equal(describeCenter(makeMeta(3, 3, { center })), "At the center: loss 0.00256 ± 0.0001 · λmin 0 ± 0.02 · λmax 0.554");
  assert.equal(describeCenter(makeMeta(3, 3, { center: { loss: null, lambda_min: null } })), "");
  assert.deepEqual([isLong(snapshot), isLong({ layers: new Map([["loss", new Float32Array(1)], ["loss_stderr", new Float32Array(1)]]) })], [true, false]);
  assert.deepEqual(["convexity", "accuracy_stderr"].map(shortName), ["|λmin/λmax|", "Accuracy error"]);
  assert.equal(choiceName("convexity"), "Convexity");
});

test("notes say what the picture leaves out", () => {
  const field = fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : r + c));
  const [note] = noteTexts({ meta: makeMeta(21, 21), field, stale: false, silent: false });
  assert.match(note, /^Cut at .* values are higher, up to 10⁹$/);
  assert.deepEqual([300, 800].map((width) => notesRoom(field, width, null)), [52, 30]);
  assert.equal(notesRoom(fieldOf(3, 3, () => 1), 300, null), 0);
  const gray: Field = { ...fieldOf(3, 3, () => 1), color: fieldOf(3, 3, () => NaN, { quantity: "convexity" }) };
  const said = (status: "running" | "stopped" | "done", f = gray) => noteTexts({ meta: makeMeta(3, 3, { status }), field: f, stale: false, silent: false });
  assert.deepEqual(said("running"), ["Convexity is computed after the surface"]);
  assert.deepEqual(said("stopped"), ["Convexity was not computed"]);
  assert.deepEqual(said("done"), ["No convexity to show: nowhere is λmin finite and told apart from 0"]);
  assert.deepEqual(said("done", { ...gray, color: fieldOf(3, 3, () => NaN, { quantity: "accuracy" }) }), ["Accuracy has no finite value to color with"]);
  assert.deepEqual([notesRoom(gray, 300, null), said("done", fieldOf(3, 3, () => 1))], [52, []]);
  assert.equal(emptyText(null, null), "Evaluating the first points…");
  assert.equal(emptyText(makeMeta(21, 21), field), null);
  const holes = fieldOf(3, 3, () => NaN);
  assert.equal(emptyText(makeMeta(3, 3, { status: "running" }), holes), "No finite value so far");
  assert.equal(emptyText(makeMeta(3, 3, { status: "done" }), holes), "No finite value");
  assert.match(emptyText(null, fieldOf(3, 3, () => -1, { scale: "log" })) ?? "", /log scale/);
});

test("the color tables are viridis, cividis and magma", () => {
  const numbers = (color: string): number[] =>
    color.startsWith("#") ? [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16)) : (color.match(/\d+/g) ?? []).map(Number);
  const wanted = { viridis: interpolateViridis, cividis: interpolateCividis, magma: interpolateMagma };
  for (const [name, color] of Object.entries(wanted)) {
    const table = colorTable(name as keyof typeof wanted);
    for (let i = 0; i < 256; i++) assert.deepEqual([...table.slice(4 * i, 4 * i + 3)], numbers(color(i / 255)));
    assert.equal(cssColor(table, -1), cssColor(table, 0));
  }
});
