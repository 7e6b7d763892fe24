// The training path: real heights, distance from the plane, what is named and what is hidden.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { initialCamera, fitBox, makeProjection } from "../src/gl/camera.ts";
import { makeChannel } from "../src/model/channel.ts";
import { makeHidden } from "../src/gl/occlusion.ts";
import { HEIGHT, makeMesh } from "../src/gl/mesh.ts";
import { noteTexts } from "../src/model/messages.ts";
import { capturedText, findDrops, makePath, namedCheckpoints, opacityOf, pointOf, reachOf } from "../src/model/path.ts";
import { checkpointAt } from "../src/plot/pathDrawing.ts";
import { describeCheckpoint, describePicture } from "../src/model/readout.ts";
import { nothing, takeControls, takeFrame } from "../src/model/state.ts";
import { placeTags } from "../src/plot/pointLabels.ts";
import { DEFAULTS, parseMeta, type Trajectory } from "../src/model/wire.ts";
import { fieldOf } from "./make.ts";

const run: Trajectory = {
  alpha: [-1, 0, 3, null],
  beta: [0, 0.5, 0, 0],
  values: { loss: [4, null, 1, 1], accuracy: [0.5, 0.75, null, 1] },
  outside: [0.5, 0, 1, null],
  learning_rate: [0.1, 0.1, 0.01, null],
  captured: 0.834,
  labels: ["0", "1", "2", "3"],
};
const plane = fieldOf(3, 5, (r, c) => 1 + r + c, { alpha: [-2, 2], beta: [-1, 1] });

test("checkpoints lie where they are projected, at their real heights, beside those of the surface", () => {
  const { checkpoints } = makePath(run, plane);
  assert.deepEqual(checkpoints.map((c) => [c.column, c.row]), [[1, 1], [2, 1.5], [5, 1], [NaN, 1]]);
  assert.deepEqual(checkpoints.map((c) => c.real), [4, NaN, 1, 1]);
  assert.deepEqual(checkpoints.map((c) => c.surface), [3, 4.5, NaN, NaN]);
  assert.deepEqual(checkpoints.map((c) => c.drop), [null, null, [0.1, 0.01], null]);
  const log = makePath(run, fieldOf(3, 5, () => 10, { scale: "log" }));
  assert.equal(log.checkpoints[0].real, Math.log10(4));
  const share = makePath(run, fieldOf(3, 5, () => 0.5, { quantity: "accuracy" }));
  assert.deepEqual(share.checkpoints.map((c) => c.real), [0.5, 0.75, NaN, 1]);
  assert.ok(makePath(run, fieldOf(3, 5, () => 0.5, { quantity: "other" })).checkpoints.every((c) => Number.isNaN(c.real)));
});

test("the further from the plane, the paler, and nothing vanishes", () => {
  assert.equal(opacityOf(0), 1);
  const shares = [0, 0.2, 0.4, 0.6, 0.8, 1].map(opacityOf);
  assert.ok(shares.every((o, i) => o >= 0.25 && (i === 0 || o < shares[i - 1])));
});

test("lowered learning rates are found, schedules are not", () => {
  assert.deepEqual(findDrops([0.1, 0.1, 0.01, 0.001]), [null, null, [0.1, 0.01], [0.01, 0.001]]);
  assert.deepEqual(findDrops([1, 0.95, 0.9, 0.7]), [null, null, null, null]);
  assert.ok(findDrops(Array.from({ length: 12 }, (_, i) => 0.5 ** i)).every((d) => d === null));
  assert.deepEqual(findDrops([0.1, 0.03, 0.1, 0.07, 0.04, 0.02, 0.005]), Array(7).fill(null), "a warm-up, then a half cosine");
  assert.deepEqual(findDrops([0.1, null, 0.01]), [null, null, null]);
  assert.deepEqual(findDrops(null), []);
});

test("the ends are named first, then lowered rates, then epochs; a narrow picture has the first two", () => {
  const labels = ["epoch 0", ...Array.from({ length: 7 }, (_, i) => (i % 2 ? `epoch ${(i + 1) / 2}` : `step ${i}`))];
  const n = labels.length;
  const long: Trajectory = { ...run, labels, alpha: Array(n).fill(0), beta: Array(n).fill(0), outside: Array(n).fill(0), learning_rate: labels.map((_, i) => (i < 5 ? 1 : 0.1)) };
  const path = makePath(long, plane);
  const named = namedCheckpoints(path, false);
  assert.deepEqual(named.slice(0, 3).map((c) => c.index), [n - 1, 0, 5]);
  assert.match(named[2].text, /lr 1 → 0\.1$/);
  assert.ok(named.slice(3).length > 0 && named.slice(3).every((c) => c.text.startsWith("epoch")));
  assert.equal(namedCheckpoints(path, true).length, 3);
  assert.deepEqual(namedCheckpoints(makePath(run, plane), true).map((c) => c.text).slice(0, 2), ["checkpoint 3", "checkpoint 0"]);
  assert.deepEqual(namedCheckpoints(makePath({ ...run, labels: [] }, plane), false), []);
});

test("the scale holds the real heights, but is not flattened by one that is far off", () => {
  assert.deepEqual(reachOf(run, "loss"), [1, 4]);
  assert.equal(reachOf(run, "other"), null);
  assert.equal(reachOf(undefined, "loss"), null);
  const values = Float32Array.from({ length: 30 }, (_, i) => 1 + i / 29);
  assert.deepEqual(makeChannel("loss", values, "linear", { reach: [0.5, 3] }).own, [0.5, 3]);
  assert.deepEqual(makeChannel("loss", values, "linear", { reach: [1.2, 1e6] }).own, [1, 2]);
  assert.deepEqual(makeChannel("loss", values, "log", { reach: [0, 4] }).own, [0, Math.log10(4)]);
});

test("the words say how far the picture is from the run", () => {
  const path = makePath(run, plane);
  assert.equal(describeCheckpoint(path, plane, 0), "checkpoint 0 · loss 4 · surface 3 · accuracy 50.0 % · 50.0 % outside the plane · learning rate 0.1");
  assert.match(describeCheckpoint(path, plane, 1), /^checkpoint 1 · loss not known · surface 4.5/);
  assert.equal(capturedText(path), "The plane captures 83 % of the path’s variation");
  assert.equal(capturedText({ ...path, captured: null }), null);
  assert.match(describePicture(plane, "surface", path), /training path of 4 checkpoints\. The plane captures 83 %/);
  assert.doesNotMatch(describePicture(plane, "line", path), /path/);
  assert.deepEqual(noteTexts({ meta: null, field: plane, stale: false, silent: false, path }), [capturedText(path)]);
  assert.deepEqual(pointOf(path, 2, plane), { column: 4, row: 1, checkpoint: 2 });
});

test("the checkpoint under the pointer is the nearest one", () => {
  const at = (x: number, y: number) => ({ x, y, hidden: false, beyond: false });
  const places = [at(0, 0), null, at(12, 0)];
  assert.deepEqual([checkpointAt(places, 5, 0), checkpointAt(places, 7, 0), checkpointAt(places, 40, 0)], [0, 2, null]);
});

test("names cover neither each other nor the border, and are left out without room", () => {
  const area = { x: 0, y: 0, width: 200, height: 100 };
  const tags = Array.from({ length: 12 }, () => ({ text: "name", x: 100, y: 50 }));
  const boxes = placeTags([...tags, { text: "edge", x: 199, y: 99 }], Array(13).fill(40), area, [{ x: 120, y: 43 }]);
  const placed = boxes.filter((b) => b !== null);
  assert.ok(placed.length > 1 && placed.length < 13 && boxes[12]);
  for (const [i, a] of placed.entries()) {
    assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= 200 && a.y + a.height <= 100);
    for (const b of placed.slice(i + 1)) assert.ok(a.x >= b.x + b.width || b.x >= a.x + a.width || a.y >= b.y + b.height || b.y >= a.y + a.height);
  }
  assert.ok(boxes[0] && !(boxes[0].x < 120 && boxes[0].x + boxes[0].width > 120 && boxes[0].y < 43 && boxes[0].y + boxes[0].height > 43));
});

test("the surface hides what lies behind it and below it, seen from the front", () => {
  // A ridge along x in the middle, seen along y from a low camera.
  const f = fieldOf(41, 41, (r) => 1 - Math.min(1, Math.abs(r - 20) / 10));
  const mesh = makeMesh(f);
  const camera = { ...initialCamera(), azimuth: -Math.PI / 2, elevation: 0.2 };
  const p = makeProjection(camera, fitBox(mesh.half, 0.2, 600, 400, { left: 40, right: 40, top: 10, bottom: 40 }), 600, 400);
  const hidden = makeHidden(f, mesh, p);
  assert.equal(hidden(0, 0.8, 0.1), true);
  assert.equal(hidden(0, -0.8, 0.1), false);
  assert.equal(hidden(0, 0, HEIGHT), false);
  assert.equal(hidden(0, 0.8, HEIGHT), false);
  assert.equal(hidden(0, 0, 0.3), true);
});

test("a run that goes on being measured moves the path, and nothing else", () => {
  const golden = fileURLToPath(new URL("../../tests/golden/wire.json", import.meta.url));
  assert.ok(existsSync(golden));
  const { meta, frame_base64: text } = JSON.parse(readFileSync(golden, "utf8"));
  const bytes = Buffer.from(text, "base64");
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parsed = parseMeta(meta);
  assert.deepEqual(parsed?.marks, { a: [0, 0], b: [1.5, 0], c: [0.5, 0.25] });
  const shown = nothing();
  const take = (json: unknown): void => {
    takeFrame(shown, frame, json);
    takeControls(shown, DEFAULTS, () => null);
  };
  take(meta);
  assert.deepEqual(shown.path?.checkpoints.map((c) => [c.label, c.real]), [["epoch 0", NaN], ["epoch 1", 3.5], ["epoch 2", 0]]);
  assert.deepEqual(shown.path?.checkpoints[2].drop, [0.1, 0.01]);
  const { field, path, marks } = shown;
  take(structuredClone(meta));
  assert.ok(shown.field === field && shown.path === path && shown.marks === marks);
  const later = structuredClone(meta);
  later.trajectory.values.loss[0] = 2;
  take(later);
  assert.ok(shown.field === field && shown.path !== path);
  assert.equal(shown.path?.checkpoints[0].real, 2);
  delete later.trajectory;
  take({ ...later });
  assert.equal(shown.path, null);
});
