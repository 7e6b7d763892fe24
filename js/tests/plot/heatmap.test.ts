import assert from "node:assert/strict";
import { test } from "node:test";
import { colorTable } from "../../src/model/palette.ts";
import { rasterize } from "../../src/plot/heatmap.ts";
import { fieldOf } from "../support/make.ts";

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
  for (const [nBeta, nAlpha] of [
    [1, 5],
    [5, 1],
    [1, 1],
  ] as const) {
    const line = rasterize(
      fieldOf(nBeta, nAlpha, (r, c) => r + c),
      4,
      4,
      colorTable(),
    );
    assert.ok([...line].every((v, i) => i % 4 !== 3 || v === 255));
  }
});
