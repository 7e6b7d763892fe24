import assert from "node:assert/strict";
import { test } from "node:test";
import { fitBox, initialCamera, makeProjection } from "../../src/gl/camera.ts";
import { HEIGHT, makeMesh, STRIDE } from "../../src/gl/mesh.ts";
import { holeHeights, pickHole, pickSurface } from "../../src/gl/pick.ts";
import { at } from "../../src/model/access.ts";
import { fieldOf } from "../support/make.ts";

const part = (v: Float32Array, i: number, k: number): number => at(v, i * STRIDE + k);

test("picking where a grid point is projected finds that grid point", () => {
  const f = fieldOf(9, 13, (r, c) => 0.02 * ((r - 4) ** 2 + (c - 6) ** 2), { alpha: [-1, 1], beta: [-0.7, 0.7] });
  const mesh = makeMesh(f);
  const [width, height] = [800, 500];
  const camera = { ...initialCamera(), elevation: 1.2, zoom: 1.3, pan: [0.1, -0.05] as [number, number] };
  const fit = fitBox(mesh.half, camera.elevation, width, height, { left: 50, right: 90, top: 10, bottom: 40 });
  const projection = makeProjection(camera, fit, width, height);
  for (const [row, column] of [
    [1, 1],
    [4, 6],
    [7, 11],
    [2, 9],
  ] as const) {
    const i = row * 13 + column;
    const [x, y] = projection.project(part(mesh.vertices, i, 0), part(mesh.vertices, i, 1), part(mesh.vertices, i, 2));
    const { origin, direction } = projection.ray(x, y);
    const hit = pickSurface(mesh, origin, direction);
    assert.deepEqual([hit?.row, hit?.column], [row, column]);
  }
  const { origin, direction } = projection.ray(2, 2);
  assert.equal(pickSurface(mesh, origin, direction), null);
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
