import assert from "node:assert/strict";
import { test } from "node:test";
import { PRESETS, cameraFrom, cameraState, initialCamera } from "../src/gl/camera.ts";
import { makeChannel } from "../src/model/channel.ts";
import { bandOf, chartY, drawChart, runsOf, type Chart } from "../src/plot/chart.ts";
import { lowest, unit } from "../src/model/field.ts";
import { commonRanges, joinGroup, type Member } from "../src/group.ts";
import { NO_COLOR, STRIDE, blendMesh, isAlike, makeMesh } from "../src/gl/mesh.ts";
import { colorTable } from "../src/model/palette.ts";
import { parseCount } from "../src/panel/resolution.ts";
import { fileName } from "../src/stage/save.ts";
import { sliceOf, slicePoint } from "../src/plot/slices.ts";
import { contourLevels } from "../src/model/ticks.ts";
import type { CameraState, Controls, Range } from "../src/model/wire.ts";
import { fieldOf } from "./make.ts";

const ramp = Float32Array.from({ length: 100 }, (_, i) => i);

test("a clip ends the scale and is said, limits set both ends, a common range is taken over", () => {
  const clipped = makeChannel("loss", ramp, "linear", { clip: 49 });
  assert.deepEqual([clipped.lo, clipped.hi, clipped.own], [0, 49, [0, 99]]);
  assert.deepEqual(clipped.cut, { at: 49, share: 0.5, max: 99, chosen: true });
  assert.equal(makeChannel("loss", ramp, "linear", { clip: 1000 }).cut, null);
  assert.equal(makeChannel("loss", ramp, "linear", { clip: -1 }).hi, 99);
  const limited = makeChannel("loss", ramp, "log", { limits: [0, 10] });
  assert.deepEqual([limited.lo, limited.hi], [0, 1]);
  assert.deepEqual(makeChannel("loss", ramp, "linear", { common: [-5, 500] }).own, [0, 99]);
  assert.equal(makeChannel("loss", ramp, "linear", { common: [-5, 500] }).hi, 500);
});

test("levels are automatic, those of the paper, or one's own, in original units on both scales", () => {
  const paper = contourLevels(0, 20, "linear", "paper");
  assert.deepEqual([paper.length, paper[0], paper[1], paper[19]], [20, 0.1, 0.6, 9.6]);
  assert.deepEqual(contourLevels(-2, 1, "log", [-1, 0.1, 5]).map((v) => Math.round(10 ** v * 10) / 10), [0.1, 5]);
  assert.deepEqual(contourLevels(0, 1, "linear", []), []);
});

test("grays and the other colormaps are complete and get lighter", () => {
  for (const name of ["viridis", "cividis", "magma", "gray"] as const) {
    const table = colorTable(name);
    const light = (i: number): number => 0.2126 * table[4 * i] + 0.7152 * table[4 * i + 1] + 0.0722 * table[4 * i + 2];
    for (let i = 8; i < 256; i += 8) assert.ok(light(i) > light(i - 8) - 1, `${name} ${i}`);
    assert.equal(colorTable(name), table);
  }
});

test("the mesh is colored by another layer, gray where that is not known", () => {
  const f = fieldOf(3, 3, (r, c) => r + c);
  const color = makeChannel("accuracy", Float32Array.of(0, 0.5, 1, 0, 0.5, 1, 0, 0.5, NaN), "linear");
  const mesh = makeMesh({ ...f, color });
  const at = (i: number): number => mesh.vertices[i * STRIDE + 4];
  assert.deepEqual([at(0), at(1), at(2), at(8)], [0, 0.5, 1, NO_COLOR]);
});

test("a mesh moves into another one without passing through holes", () => {
  const [a, b] = [makeMesh(fieldOf(3, 3, (r, c) => (r + c ? r : NaN))), makeMesh(fieldOf(3, 3, (_, c) => c))];
  assert.ok(isAlike(a, b));
  const half = blendMesh(a, b, 0.5);
  const z = (m: typeof a, i: number): number => m.vertices[i * STRIDE + 2];
  assert.equal(z(half, 0), z(b, 0));
  assert.ok(Math.abs(z(half, 5) - (z(a, 5) + z(b, 5)) / 2) < 1e-6);
  assert.ok(blendMesh(a, b, 1).vertices.every((v, i) => Math.abs(v - b.vertices[i]) < 1e-6));
  assert.ok(!isAlike(a, makeMesh(fieldOf(3, 4, () => 0))));
});

test("cameras are rounded, and the usual one is empty", () => {
  assert.deepEqual(cameraState(initialCamera()), {});
  const state = cameraState({ ...initialCamera(), azimuth: 7, zoom: 1.23456789 }) as CameraState;
  assert.deepEqual([state.azimuth, state.zoom], [0.7168, 1.2346]);
  assert.deepEqual(cameraFrom(state).pan, [0, 0]);
  assert.equal(cameraFrom({ zoom: 2 }).elevation, initialCamera().elevation);
  assert.equal(PRESETS.length, 4);
});

test("several seeds are a band, gaps and all", () => {
  const { mean, low, high } = bandOf([[1, 2, NaN], [3, NaN, NaN]]);
  assert.deepEqual([[...mean], [...low], [...high]], [[2, 2, NaN], [1, 2, NaN], [3, 2, NaN]]);
  assert.deepEqual(runsOf([NaN, 1, 2, NaN, 3]), [[1, 2], [4, 4]]);
});

test("a chart draws training solid and testing dashed, on two axes, with a band", () => {
  const calls: string[] = [];
  const ctx = new Proxy({} as Record<string, unknown>, {
    get: (target, name) => (name in target ? target[name as string] : (...args: unknown[]) => (calls.push(`${String(name)} ${args.join()}`), { width: 10 })),
    set: (target, name, value) => Reflect.set(target, name, value),
  }) as unknown as CanvasRenderingContext2D;
  const theme = { dark: false, background: "#fff", text: "#000", muted: "#666", grid: "#ccc", pane: "#eee", accent: "#00f", font: "sans-serif" };
  const axis = { lo: 0, hi: 1, scale: "linear" as const, percent: false, name: "Loss" };
  const chart: Chart = {
    frame: { x: 0, y: 0, width: 100, height: 100 },
    x: [-1, 1],
    xName: "alpha",
    left: axis,
    right: { ...axis, name: "Accuracy", percent: true },
    series: [
      { name: "train", side: "left", y: [0, 0.5, 1], color: "#00f", style: "solid", band: { low: [0, 0.4, 0.9], high: [0.1, 0.6, 1] } },
      { name: "test", side: "left", y: [0, NaN, 1], color: "#00f", style: "dashed" },
      { name: "accuracy", side: "right", y: [1, 0.5, 0], color: "#f00", style: "solid" },
    ],
    legend: true,
  };
  drawChart(ctx, theme, chart);
  assert.ok(calls.includes("setLineDash 6,4") && calls.includes("closePath "));
  for (const text of ["train", "test", "alpha", "Loss", "Accuracy", "100 %"]) assert.ok(calls.some((c) => c.startsWith(`fillText ${text}`)), text);
  assert.ok(Math.abs(chartY(chart.frame, axis, 1) - 6) < 1e-9);
  assert.ok(calls.every((c) => !/NaN|undefined/.test(c)));
});

test("slices run along their axis through the point", () => {
  const f = fieldOf(3, 5, (r, c) => 10 * r + c);
  assert.deepEqual([...sliceOf(f, "alpha", { row: 1, column: 4 })], [10, 11, 12, 13, 14]);
  assert.deepEqual([...sliceOf(f, "beta", { row: 1, column: 4 })], [4, 14, 24]);
  assert.deepEqual(slicePoint(f), { row: 1, column: 2 });
  assert.deepEqual(lowest(f), { row: 0, column: 0 });
  assert.equal(unit(f, 12), 0.5);
});

test("compared landscapes agree on the widest range and pass on what is changed", () => {
  const log: string[] = [];
  const ranges: Record<string, Range> = { a: [0, 1], b: [-1, 0.5] };
  const member = (name: string): Member => ({
    ranges: () => new Map([["loss linear", ranges[name]]]),
    refresh: () => log.push(`refresh ${name}`),
    look: (camera) => log.push(`look ${name} ${JSON.stringify(camera)}`),
    apply: (controls: Partial<Controls>) => log.push(`apply ${name} ${JSON.stringify(controls)}`),
  });
  const [a, b] = [joinGroup("t", member("a")), joinGroup("t", member("b"))];
  assert.deepEqual(a.common("loss linear"), [-1, 1]);
  assert.equal(a.common("accuracy linear"), null);
  a.announce();
  a.announce();
  a.look({});
  b.share({ scale: "log" });
  assert.deepEqual(log, ["refresh b", "look b {}", 'apply a {"scale":"log"}']);
  b.leave();
  assert.deepEqual(a.common("loss linear"), [0, 1]);
  assert.deepEqual([...commonRanges([])], []);
});

test("files are named after the picture, and counts are whole numbers from one", () => {
  assert.equal(fileName("ResNet-56, no shortcuts", "contour", "svg"), "resnet-56-no-shortcuts-contour.svg");
  assert.equal(fileName("", "surface", "png"), "landscape-surface.png");
  assert.deepEqual(["1", "51", "0", "2.5", "x", "9999"].map(parseCount), [1, 51, null, null, null, null]);
});
