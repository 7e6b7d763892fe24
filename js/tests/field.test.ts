import assert from "node:assert/strict";
import { test } from "node:test";
import { alphaAt, betaAt, interpolate, locate, unit } from "../src/model/field.ts";
import { rasterize } from "../src/plot/heatmap.ts";
import { isolines } from "../src/plot/isolines.ts";
import { colorTable } from "../src/model/palette.ts";
import { fieldOf } from "./make.ts";

test("the display range covers the finite values only", () => {
  const f = fieldOf(3, 5, (r, c) => (r === 0 && c === 0 ? NaN : r === 1 && c === 1 ? Infinity : 1 + r + c));
  assert.deepEqual([f.lo, f.hi], [2, 7]);
  assert.equal(f.nFinite, 13);
  assert.ok(Number.isNaN(f.z[0]) && Number.isNaN(f.z[6]));
});

test("a constant field and a field without values have a usable range and no contours", () => {
  for (const value of [0, 0.7, -3, 1e-30, NaN]) {
    const f = fieldOf(4, 4, () => value);
    assert.ok(f.lo < f.hi && Number.isFinite(f.lo + f.hi));
    assert.deepEqual(f.levels, []);
    if (!Number.isNaN(value)) assert.ok(unit(f, f.z[0]) > 0 && unit(f, f.z[0]) < 1);
  }
});

test("a log scale has holes where values are not positive", () => {
  const f = fieldOf(1, 4, (_, c) => [-1, 0, 10, 1000][c], { scale: "log" });
  assert.deepEqual([...f.z].map((v) => (Number.isNaN(v) ? null : Math.round(v))), [null, null, 1, 3]);
  assert.equal(f.cut, null);
});

test("a few gigantic values are cut off a linear scale and said to be; ordinary bowls are not", () => {
  const bowl = (r: number, c: number): number => (r - 10) ** 2 + (c - 10) ** 2;
  assert.equal(fieldOf(21, 21, bowl).cut, null);
  const f = fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : bowl(r, c)));
  assert.ok(f.cut);
  assert.ok(f.hi <= 200 && f.cut.max === Math.fround(1e9));
  assert.ok(Math.abs(f.cut.share - 0.1) < 0.02);
  assert.equal(fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : 1 + bowl(r, c)), { scale: "log" }).cut, null);
});

test("rows are beta, columns are alpha, and interpolation meets the grid points", () => {
  const f = fieldOf(3, 5, (r, c) => 10 * r + c, { alpha: [-2, 2], beta: [0, 1] });
  assert.equal(alphaAt(f, 3), 1);
  assert.equal(betaAt(f, 1), 0.5);
  assert.deepEqual(locate(f, 1, 0.5), { column: 3, row: 1 });
  assert.equal(locate(f, 2.1, 0.5), null);
  assert.equal(interpolate(f, 3, 1), 13);
  assert.equal(interpolate(f, 3.5, 1.5), 18.5);
  assert.equal(interpolate(f, 4, 2), 24);
});

test("the map has alpha to the right and beta upwards", () => {
  const table = colorTable();
  const shade = (f: ReturnType<typeof fieldOf>, x: number, y: number): number => {
    const pixels = rasterize(f, 20, 12, table);
    const i = (y * 20 + x) * 4;
    return [...Array(256).keys()].find((k) => [0, 1, 2].every((j) => table[4 * k + j] === pixels[i + j])) as number;
  };
  const right = fieldOf(3, 5, (_, c) => c);
  assert.ok(shade(right, 19, 6) > shade(right, 0, 6) + 200);
  const up = fieldOf(3, 5, (r) => r);
  assert.ok(shade(up, 10, 0) > shade(up, 10, 11) + 200);
});

test("holes are transparent in the map, everything else is opaque; single rows and points are drawn", () => {
  const f = fieldOf(5, 5, (r, c) => (r === 2 && c === 2 ? NaN : r + c));
  const pixels = rasterize(f, 50, 50, colorTable());
  assert.equal(pixels[(25 * 50 + 25) * 4 + 3], 0);
  assert.equal(pixels[3], 255);
  for (const [nBeta, nAlpha] of [[1, 5], [5, 1], [1, 1]]) {
    const line = rasterize(fieldOf(nBeta, nAlpha, (r, c) => r + c), 4, 4, colorTable());
    assert.ok([...line].every((v, i) => i % 4 !== 3 || v === 255));
  }
});

test("contour lines lie on their level, inside the grid, and not along holes", () => {
  const bowl = fieldOf(21, 31, (r, c) => (r - 10) ** 2 + (c - 14) ** 2);
  const holed = fieldOf(21, 31, (r, c) => (Math.hypot(r - 4, c - 20) < 3 ? NaN : (r - 10) ** 2 + (c - 14) ** 2));
  for (const f of [bowl, holed]) {
    const lines = isolines(f);
    assert.ok(lines.length >= f.levels.length);
    for (const { level, points } of lines) {
      for (const [x, y] of points) {
        assert.ok(x >= 0 && y >= 0 && x <= 30 && y <= 20);
        // Straight lines between grid points miss a parabola by at most a quarter.
        assert.ok(Math.abs((y - 10) ** 2 + (x - 14) ** 2 - level) <= 0.26);
      }
    }
  }
  assert.deepEqual(isolines(fieldOf(1, 9, (_, c) => c)), []);
});

test("zero on the grid is zero, whatever rounding makes of it", () => {
  const f = fieldOf(21, 21, () => 1, { alpha: [-0.7615, 4.318], beta: [-0.143, 0.077] });
  assert.ok(Array.from({ length: 21 }, (_, i) => betaAt(f, i)).includes(0));
});
