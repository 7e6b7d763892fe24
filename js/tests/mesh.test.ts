import assert from "node:assert/strict";
import { test } from "node:test";
import { fitBox, initialCamera, makeProjection } from "../src/gl/camera.ts";
import { HEIGHT, STRIDE, makeMesh } from "../src/gl/mesh.ts";
import { holeHeights, pickHole, pickSurface } from "../src/gl/pick.ts";
import { fieldOf } from "./make.ts";

const at = (v: Float32Array, i: number, k: number): number => v[i * STRIDE + k];

test("two triangles a cell, indices in range, all wound upwards", () => {
  for (const [nBeta, nAlpha] of [[2, 2], [3, 5], [17, 4]]) {
    const mesh = makeMesh(fieldOf(nBeta, nAlpha, (r, c) => Math.sin(r * 3 + c)));
    assert.equal(mesh.indices.length, (nBeta - 1) * (nAlpha - 1) * 6);
    assert.ok(mesh.indices.every((i) => i < nBeta * nAlpha));
    for (let i = 0; i < mesh.indices.length; i += 3) {
      const [a, b, c] = [...mesh.indices.subarray(i, i + 3)];
      const v = mesh.vertices;
      const area = (at(v, b, 0) - at(v, a, 0)) * (at(v, c, 1) - at(v, a, 1)) - (at(v, b, 1) - at(v, a, 1)) * (at(v, c, 0) - at(v, a, 0));
      assert.ok(area > 0);
    }
  }
});

test("heights fill the box, columns run along x, rows along y", () => {
  const { vertices: v } = makeMesh(fieldOf(3, 5, (r, c) => 10 * r + c, { alpha: [-2, 2], beta: [-1, 1] }));
  assert.deepEqual([at(v, 0, 0), at(v, 0, 1), at(v, 0, 2)], [-1, -0.5, 0]);
  assert.deepEqual([at(v, 14, 0), at(v, 14, 1), at(v, 14, 2)], [1, 0.5, Math.fround(HEIGHT)]);
  assert.ok(at(v, 1, 0) > at(v, 0, 0) && at(v, 5, 1) > at(v, 0, 1));
});

test("no triangle touches a hole, and a hole in the middle removes all that would", () => {
  const mesh = makeMesh(fieldOf(5, 5, (r, c) => (r === 2 && c === 2 ? Infinity : r + c)));
  assert.ok(!mesh.indices.includes(12));
  // The four cells round the hole keep one triangle each.
  assert.equal(mesh.indices.length, (16 - 4) * 6 + 4 * 3);
  assert.ok(mesh.vertices.every(Number.isFinite));
});

test("normals have length one, point up, and stand on the slope", () => {
  const { vertices: v } = makeMesh(fieldOf(4, 4, (_, c) => c));
  for (let i = 0; i < 16; i++) {
    const n = [5, 6, 7].map((k) => at(v, i, k));
    assert.ok(Math.abs(Math.hypot(...n) - 1) < 1e-6 && n[2] > 0);
    assert.ok(Math.abs(n[0] * 2 + n[2] * HEIGHT) < 1e-6 && Math.abs(n[1]) < 1e-6);
  }
});

test("gigantic values stay finite in the mesh; lines and points make none", () => {
  const mesh = makeMesh(fieldOf(6, 6, (r, c) => (r === 0 && c === 0 ? 3e38 : r + c)));
  assert.ok(mesh.vertices.every((x) => Number.isFinite(x)));
  for (const [nBeta, nAlpha] of [[1, 7], [7, 1], [1, 1]]) assert.equal(makeMesh(fieldOf(nBeta, nAlpha, () => 1)).indices.length, 0);
});

test("picking where a grid point is projected finds that grid point", () => {
  const f = fieldOf(9, 13, (r, c) => 0.02 * ((r - 4) ** 2 + (c - 6) ** 2), { alpha: [-1, 1], beta: [-0.7, 0.7] });
  const mesh = makeMesh(f);
  const [width, height] = [800, 500];
  const camera = { ...initialCamera(), elevation: 1.2, zoom: 1.3, pan: [0.1, -0.05] as [number, number] };
  const fit = fitBox(mesh.half, camera.elevation, width, height, { left: 50, right: 90, top: 10, bottom: 40 });
  const projection = makeProjection(camera, fit, width, height);
  for (const [row, column] of [[1, 1], [4, 6], [7, 11], [2, 9]]) {
    const i = row * 13 + column;
    const [x, y] = projection.project(at(mesh.vertices, i, 0), at(mesh.vertices, i, 1), at(mesh.vertices, i, 2));
    const { origin, direction } = projection.ray(x, y);
    const hit = pickSurface(mesh, origin, direction);
    assert.deepEqual([hit?.row, hit?.column], [row, column]);
  }
  const { origin, direction } = projection.ray(2, 2);
  assert.equal(pickSurface(mesh, origin, direction), null);
});

test("the box fits between the labels from every side, down to narrow pictures", () => {
  for (const [width, height] of [[320, 300], [900, 540], [1600, 900]]) {
    for (const elevation of [0, 0.5, 1.5]) {
      const room = { left: 40, right: 60, top: 12, bottom: 40 };
      const fit = fitBox([1, 0.7], elevation, width, height, room);
      for (let azimuth = 0; azimuth < 6.3; azimuth += Math.PI / 12) {
        const p = makeProjection({ azimuth, elevation, zoom: 1, pan: [0, 0] }, fit, width, height);
        for (let corner = 0; corner < 4; corner++) {
          const [x, y] = p.project(corner & 1 ? 1 : -1, corner & 2 ? 0.7 : -0.7, corner === 0 ? HEIGHT : 0);
          assert.ok(x >= room.left - 1 && x <= width - room.right + 1 && y >= room.top - 1 && y <= height - room.bottom + 1);
        }
      }
    }
  }
});

test("a hole is found where it would be, and has the height of its surroundings", () => {
  const f = fieldOf(9, 9, (r, c) => (r === 2 && c === 6 ? NaN : 1 + 0.1 * c));
  const mesh = makeMesh(f);
  const holes = holeHeights(mesh, f.z);
  assert.deepEqual([...holes.keys()], [24]);
  const height = holes.get(24) as number;
  assert.ok(Math.abs(height - 0.75 * HEIGHT) < 1e-6);
  const fit = fitBox(mesh.half, 1, 600, 400, { left: 40, right: 40, top: 10, bottom: 40 });
  const p = makeProjection({ azimuth: -1, elevation: 1, zoom: 1, pan: [0, 0] }, fit, 600, 400);
  const [x, y] = p.project(0.5, -0.5, height);
  const { origin, direction } = p.ray(x, y);
  const hit = pickHole(mesh, holes, origin, direction);
  assert.deepEqual([hit?.row, hit?.column], [2, 6]);
});
