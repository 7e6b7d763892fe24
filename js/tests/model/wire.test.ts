import assert from "node:assert/strict";
import { test } from "node:test";
import { at } from "../../src/model/access.ts";
import { decodeFrame, isSamePlane, type Meta, parseMeta } from "../../src/model/wire.ts";
import { readGolden, viewOf } from "../support/golden.ts";
import { LAYERS, makeMeta } from "../support/make.ts";

/** layer * 100 + row * 10 + column, on 3 rows and 5 columns, at any byte offset. */
function frameOf(offset = 0): DataView {
  const buffer = new ArrayBuffer(LAYERS.length * 15 * 4 + offset);
  const view = new DataView(buffer, offset);
  for (let layer = 0, i = 0; layer < LAYERS.length; layer++) {
    for (let row = 0; row < 3; row++)
      for (let column = 0; column < 5; column++) view.setFloat32(4 * i++, layer * 100 + row * 10 + column, true);
  }
  return view;
}

test("a frame is (layers, beta, alpha), on a grid that is not square", () => {
  const snapshot = decodeFrame(frameOf(), makeMeta(3, 5));
  assert.ok(snapshot);
  assert.deepEqual([snapshot.nBeta, snapshot.nAlpha], [3, 5]);
  assert.equal(snapshot.layers.get("loss")?.[2 * 5 + 4], 24);
  assert.equal(snapshot.layers.get("accuracy")?.[1 * 5 + 3], 213);
});

test("a buffer that is not aligned to four bytes decodes to the same numbers", () => {
  for (const offset of [1, 2, 3, 4, 7]) {
    const [a, b] = [decodeFrame(frameOf(offset), makeMeta(3, 5)), decodeFrame(frameOf(), makeMeta(3, 5))];
    assert.deepEqual(a?.layers, b?.layers);
  }
});

test("bytes that do not belong to the meta are refused", () => {
  assert.equal(decodeFrame(frameOf(), makeMeta(5, 5)), null);
  assert.equal(decodeFrame(new DataView(new ArrayBuffer(0)), makeMeta(3, 5)), null);
  assert.equal(decodeFrame(null, makeMeta(3, 5)), null);
});

test("metas that cannot be read are refused", () => {
  assert.ok(parseMeta(makeMeta(3, 5)));
  for (const bad of [
    {},
    null,
    undefined,
    3,
    { ...makeMeta(3, 5), version: 2 },
    makeMeta(0, 5),
    makeMeta(3, 5, { alpha: [0, NaN] }),
  ]) {
    assert.equal(parseMeta(bad), null);
  }
});

test("metas describe the same plane whatever their status", () => {
  const meta = makeMeta(3, 5);
  assert.ok(isSamePlane(meta, { ...meta, status: "paused", sequence: 9 }));
  for (const change of [{ shape: [5, 3] }, { seed: 1 }, { alpha: [0, 1] }, { layers: ["loss"] }] as Partial<Meta>[]) {
    assert.ok(!isSamePlane(meta, { ...meta, ...change }));
  }
});

test("the frame that Python wrote decodes to the values that Python expects", () => {
  const [{ meta, frame_base64: text, expected }] = readGolden("wire");
  const parsed = parseMeta(meta);
  assert.ok(parsed);
  const snapshot = decodeFrame(viewOf(text), parsed);
  assert.ok(snapshot);
  assert.deepEqual([snapshot.nBeta, snapshot.nAlpha], meta.shape);
  const loss = snapshot.layers.get("loss") as Float32Array;
  for (let row = 0; row < snapshot.nBeta; row++) {
    for (let column = 0; column < snapshot.nAlpha; column++) {
      const value: number = at(loss, row * snapshot.nAlpha + column);
      const wanted: number | null = expected.loss[row][column];
      if (wanted === null) assert.ok(!Number.isFinite(value), `(${row}, ${column}) should not be finite`);
      else assert.equal(value, Math.fround(wanted), `(${row}, ${column})`);
    }
  }
});
