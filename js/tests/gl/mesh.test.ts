import assert from "node:assert/strict";
import { test } from "node:test";
import { blendMesh, HEIGHT, isAlike, makeMesh, NO_COLOR, STRIDE } from "../../src/gl/mesh.ts";
import { at } from "../../src/model/access.ts";
import { makeChannel } from "../../src/model/channel.ts";
import { fieldOf } from "../support/make.ts";

const part = (v: Float32Array, i: number, k: number): number => at(v, i * STRIDE + k);

test("the mesh is colored by another layer, gray where that is not known", () => {
  const f = fieldOf(3, 3, (r, c) => r + c);
  const color = makeChannel("accuracy", Float32Array.of(0, 0.5, 1, 0, 0.5, 1, 0, 0.5, NaN), "linear");
  const mesh = makeMesh({ ...f, color });
  const colorAt = (i: number): number => at(mesh.vertices, i * STRIDE + 4);
  assert.deepEqual([colorAt(0), colorAt(1), colorAt(2), colorAt(8)], [0, 0.5, 1, NO_COLOR]);
});

test("a mesh moves into another one without passing through holes", () => {
  const [a, b] = [makeMesh(fieldOf(3, 3, (r, c) => (r + c ? r : NaN))), makeMesh(fieldOf(3, 3, (_, c) => c))];
  assert.ok(isAlike(a, b));
  const half = blendMesh(a, b, 0.5);
  const z = (m: typeof a, i: number): number => at(m.vertices, i * STRIDE + 2);
  assert.equal(z(half, 0), z(b, 0));
  assert.ok(Math.abs(z(half, 5) - (z(a, 5) + z(b, 5)) / 2) < 1e-6);
  assert.ok(blendMesh(a, b, 1).vertices.every((v, i) => Math.abs(v - at(b.vertices, i)) < 1e-6));
  assert.ok(!isAlike(a, makeMesh(fieldOf(3, 4, () => 0))));
});

test("two triangles per cell, indices in range, all wound upwards", () => {
  for (const [nBeta, nAlpha] of [
    [2, 2],
    [3, 5],
    [17, 4],
  ] as const) {
    const mesh = makeMesh(fieldOf(nBeta, nAlpha, (r, c) => Math.sin(r * 3 + c)));
    assert.equal(mesh.indices.length, (nBeta - 1) * (nAlpha - 1) * 6);
    assert.ok(mesh.indices.every((i) => i < nBeta * nAlpha));
    for (let i = 0; i < mesh.indices.length; i += 3) {
      const [a, b, c] = [at(mesh.indices, i), at(mesh.indices, i + 1), at(mesh.indices, i + 2)];
      const v = mesh.vertices;
      const area =
        (part(v, b, 0) - part(v, a, 0)) * (part(v, c, 1) - part(v, a, 1)) -
        (part(v, b, 1) - part(v, a, 1)) * (part(v, c, 0) - part(v, a, 0));
      assert.ok(area > 0);
    }
  }
});

test("heights fill the box, columns run along x, rows along y", () => {
  const { vertices: v } = makeMesh(fieldOf(3, 5, (r, c) => 10 * r + c, { alpha: [-2, 2], beta: [-1, 1] }));
  assert.deepEqual([part(v, 0, 0), part(v, 0, 1), part(v, 0, 2)], [-1, -0.5, 0]);
  assert.deepEqual([part(v, 14, 0), part(v, 14, 1), part(v, 14, 2)], [1, 0.5, Math.fround(HEIGHT)]);
  assert.ok(part(v, 1, 0) > part(v, 0, 0) && part(v, 5, 1) > part(v, 0, 1));
});

test("no triangle touches a hole", () => {
  const mesh = makeMesh(fieldOf(5, 5, (r, c) => (r === 2 && c === 2 ? Infinity : r + c)));
  assert.ok(!mesh.indices.includes(12));
  // The four cells round the hole keep one triangle each.
  assert.equal(mesh.indices.length, (16 - 4) * 6 + 4 * 3);
  assert.ok(mesh.vertices.every(Number.isFinite));
});

test("normals have length one, point up, and stand on the slope", () => {
  const { vertices: v } = makeMesh(fieldOf(4, 4, (_, c) => c));
  for (let i = 0; i < 16; i++) {
    const n = [5, 6, 7].map((k) => part(v, i, k));
    assert.ok(Math.abs(Math.hypot(...n) - 1) < 1e-6 && at(n, 2) > 0);
    assert.ok(Math.abs(at(n, 0) * 2 + at(n, 2) * HEIGHT) < 1e-6 && Math.abs(at(n, 1)) < 1e-6);
  }
});

test("huge values stay finite in the mesh; lines and points have no triangles", () => {
  const mesh = makeMesh(fieldOf(6, 6, (r, c) => (r === 0 && c === 0 ? 3e38 : r + c)));
  assert.ok(mesh.vertices.every((x) => Number.isFinite(x)));
  for (const [nBeta, nAlpha] of [
    [1, 7],
    [7, 1],
    [1, 1],
  ] as const)
    assert.equal(makeMesh(fieldOf(nBeta, nAlpha, () => 1)).indices.length, 0);
});
