import assert from "node:assert/strict";
import { test } from "node:test";
import { at } from "../../src/model/access.ts";
import { makeChannel } from "../../src/model/channel.ts";
import { unit } from "../../src/model/field.ts";
import { fieldOf } from "../support/make.ts";

const ramp = Float32Array.from({ length: 100 }, (_, i) => i);

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
    if (!Number.isNaN(value)) assert.ok(unit(f, at(f.z, 0)) > 0 && unit(f, at(f.z, 0)) < 1);
  }
});

test("a log scale has holes where values are not positive", () => {
  const f = fieldOf(1, 4, (_, c) => at([-1, 0, 10, 1000], c), { scale: "log" });
  assert.deepEqual(
    [...f.z].map((v) => (Number.isNaN(v) ? null : Math.round(v))),
    [null, null, 1, 3],
  );
  assert.equal(f.cut, null);
});

test("a few huge values are cut off a linear scale and reported; ordinary bowls are not cut", () => {
  const bowl = (r: number, c: number): number => (r - 10) ** 2 + (c - 10) ** 2;
  assert.equal(fieldOf(21, 21, bowl).cut, null);
  const f = fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : bowl(r, c)));
  assert.ok(f.cut);
  assert.ok(f.hi <= 200 && f.cut.max === Math.fround(1e9));
  assert.ok(Math.abs(f.cut.share - 0.1) < 0.02);
  assert.equal(fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : 1 + bowl(r, c)), { scale: "log" }).cut, null);
});

test("a clip ends the scale and is reported, limits set both ends, a shared range is used as it is", () => {
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
