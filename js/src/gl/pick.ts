// Find the grid point under the pointer: intersect a ray with every triangle of the mesh, on the CPU.

import type { vec3 } from "gl-matrix";
import { at, valueAt } from "../model/access.ts";
import type { GridPoint } from "../model/field.ts";
import { HEIGHT, type Mesh, STRIDE } from "./mesh.ts";

export interface Hit extends GridPoint {
  distance: number;
}

/** Möller and Trumbore (1997), both sides. Points outside the display range are not drawn and not hit. */
export function pickSurface(mesh: Mesh, origin: vec3, direction: vec3): Hit | null {
  const { vertices, indices } = mesh;
  const v = (i: number): number => valueAt(vertices, i);
  const [ox, oy, oz] = [origin[0], origin[1], origin[2]];
  const [dx, dy, dz] = [direction[0], direction[1], direction[2]];
  let distance = Infinity;
  let vertex = -1;
  for (let i = 0; i < indices.length; i += 3) {
    const [a, b, c] = [at(indices, i) * STRIDE, at(indices, i + 1) * STRIDE, at(indices, i + 2) * STRIDE];
    const [e1x, e1y, e1z] = [v(b) - v(a), v(b + 1) - v(a + 1), v(b + 2) - v(a + 2)];
    const [e2x, e2y, e2z] = [v(c) - v(a), v(c + 1) - v(a + 1), v(c + 2) - v(a + 2)];
    const [px, py, pz] = [dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x];
    const determinant = e1x * px + e1y * py + e1z * pz;
    if (determinant === 0) continue;
    const [tx, ty, tz] = [ox - v(a), oy - v(a + 1), oz - v(a + 2)];
    const u = (tx * px + ty * py + tz * pz) / determinant;
    if (u < 0 || u > 1) continue;
    const [qx, qy, qz] = [ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x];
    const w = (dx * qx + dy * qy + dz * qz) / determinant;
    if (w < 0 || u + w > 1) continue;
    const t = (e2x * qx + e2y * qy + e2z * qz) / determinant;
    const z = oz + t * dz;
    if (t <= 0 || t >= distance || z > HEIGHT + 1e-6 || z < -1e-6) continue;
    distance = t;
    const first = 1 - u - w;
    vertex = at(indices, first >= u && first >= w ? i : u >= w ? i + 1 : i + 2);
  }
  if (vertex < 0) return null;
  return { row: Math.floor(vertex / mesh.nAlpha), column: vertex % mesh.nAlpha, distance };
}

/** Return a height for every hole: the mean of its finite neighbors, else of all other holes. */
export function holeHeights(mesh: Mesh, z: Float32Array): Map<number, number> {
  const { nAlpha, vertices } = mesh;
  const heights = new Map<number, number>();
  let [total, known] = [0, 0];
  for (let i = 0; i < z.length; i++) {
    if (!Number.isNaN(valueAt(z, i))) continue;
    const column = i % nAlpha;
    const around = [column > 0 ? i - 1 : -1, column < nAlpha - 1 ? i + 1 : -1, i - nAlpha, i + nAlpha];
    const finite = around.filter((k) => k >= 0 && !Number.isNaN(valueAt(z, k)));
    const mean =
      finite.reduce((sum, k) => sum + Math.min(valueAt(vertices, k * STRIDE + 2), HEIGHT), 0) / finite.length;
    heights.set(i, mean);
    if (finite.length) [total, known] = [total + mean, known + 1];
  }
  for (const [i, height] of heights) if (Number.isNaN(height)) heights.set(i, known ? total / known : 0);
  return heights;
}

/** Return the first hole that the ray passes within half a cell; null if there is none. */
export function pickHole(mesh: Mesh, holes: Map<number, number>, origin: vec3, direction: vec3): Hit | null {
  let found: Hit | null = null;
  const { nAlpha, nBeta, half } = mesh;
  const [dx, dy] = [(2 * half[0]) / (nAlpha - 1), (2 * half[1]) / (nBeta - 1)];
  for (const [i, height] of holes) {
    const distance = (height - origin[2]) / direction[2];
    if (!(distance > 0) || (found && distance > found.distance)) continue;
    const [column, row] = [i % nAlpha, Math.floor(i / nAlpha)];
    const offX = Math.abs(origin[0] + distance * direction[0] + half[0] - column * dx);
    const offY = Math.abs(origin[1] + distance * direction[1] + half[1] - row * dy);
    if (offX <= dx / 2 && offY <= dy / 2) found = { row, column, distance };
  }
  return found;
}
