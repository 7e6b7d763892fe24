// The height field as triangles: x along alpha, y along beta, z up.

import { valueAt } from "../model/access.ts";
import { type Field, unit } from "../model/field.ts";
import { levelCoordinate } from "../model/ticks.ts";

/** Floats per vertex: x y z, level coordinate, color 0..1 (or NO_COLOR), normal x y z, evaluated 0 or 1. */
export const STRIDE = 9;
export const NO_COLOR = -1;
/** Height of the box in units in which its longer side is 2. */
export const HEIGHT = 0.95;
/** Height of the floor: below the lowest value, so that the contours on it are visible. */
export const FLOOR = -0.22;

export interface Mesh {
  nAlpha: number;
  nBeta: number;
  /** Half the width of the box along x and y; the longer one is 1. */
  half: [number, number];
  vertices: Float32Array;
  /** Three vertices per triangle; only triangles whose corners are all finite. */
  indices: Uint32Array;
}

/** Return half the widths of the box: in the ratio of the ranges, kept between 1:2 and 2:1. */
export function boxHalf(f: Pick<Field, "alpha" | "beta">): [number, number] {
  const ratio = (f.alpha[1] - f.alpha[0]) / (f.beta[1] - f.beta[0]);
  const r = Number.isFinite(ratio) && ratio > 0 ? Math.max(0.5, Math.min(2, ratio)) : 1;
  return r >= 1 ? [1, 1 / r] : [r, 1];
}

function triangles(z: Float32Array, nAlpha: number, nBeta: number): Uint32Array {
  const indices = new Uint32Array(Math.max(0, (nAlpha - 1) * (nBeta - 1) * 6));
  let n = 0;
  const add = (a: number, b: number, c: number): void => {
    if (Number.isNaN(valueAt(z, a) + valueAt(z, b) + valueAt(z, c))) return;
    indices[n++] = a;
    indices[n++] = b;
    indices[n++] = c;
  };
  for (let row = 0; row < nBeta - 1; row++) {
    for (let column = 0; column < nAlpha - 1; column++) {
      const a = row * nAlpha + column;
      const [b, c, d] = [a + 1, a + nAlpha, a + nAlpha + 1];
      // Split along the diagonal with the smaller step, or beside a missing corner.
      const flatter = Math.abs(valueAt(z, a) - valueAt(z, d)) <= Math.abs(valueAt(z, b) - valueAt(z, c));
      const alongAD = Number.isNaN(valueAt(z, a) + valueAt(z, d))
        ? false
        : Number.isNaN(valueAt(z, b) + valueAt(z, c))
          ? true
          : flatter;
      if (alongAD) {
        add(a, b, d);
        add(a, d, c);
      } else {
        add(a, b, c);
        add(b, d, c);
      }
    }
  }
  return indices.slice(0, n);
}

/** Return the slope along one axis from the finite neighbors; 0 if there are none. */
function slope(z: Float32Array, i: number, before: number, after: number, step: number): number {
  const [lo, hi] = [Number.isNaN(valueAt(z, before)) ? i : before, Number.isNaN(valueAt(z, after)) ? i : after];
  const steps = (lo === i ? 0 : 1) + (hi === i ? 0 : 1);
  return steps === 0 ? 0 : (valueAt(z, hi) - valueAt(z, lo)) / (steps * step);
}

/** Vertices outside the display range are moved this near to it: far enough to be cut, near enough for float32. */
const REACH = 3;

export function makeMesh(f: Field): Mesh {
  const { nAlpha, nBeta } = f;
  const half = boxHalf(f);
  const [dx, dy] = [(2 * half[0]) / Math.max(nAlpha - 1, 1), (2 * half[1]) / Math.max(nBeta - 1, 1)];
  const heights = f.z.map((v) => Math.max(-REACH, Math.min(1 + REACH, unit(f, v))) * HEIGHT);
  const level = levelCoordinate(f.levels);
  const colorAt = (i: number): number => {
    const z = valueAt(f.color.z, i);
    return Number.isNaN(z) ? NO_COLOR : Math.max(0, Math.min(1, unit(f.color, z)));
  };
  const vertices = new Float32Array(nAlpha * nBeta * STRIDE);
  for (let row = 0, i = 0; row < nBeta; row++) {
    for (let column = 0; column < nAlpha; column++, i++) {
      const height = valueAt(heights, i);
      if (Number.isNaN(height)) continue;
      const sx = slope(heights, i, column > 0 ? i - 1 : i, column < nAlpha - 1 ? i + 1 : i, dx);
      const sy = slope(heights, i, row > 0 ? i - nAlpha : i, row < nBeta - 1 ? i + nAlpha : i, dy);
      const length = Math.hypot(sx, sy, 1);
      const o = i * STRIDE;
      vertices[o] = -half[0] + column * dx;
      vertices[o + 1] = -half[1] + row * dy;
      vertices[o + 2] = height;
      vertices[o + 3] = level(f.lo + (height / HEIGHT) * (f.hi - f.lo));
      vertices[o + 4] = colorAt(i);
      vertices[o + 5] = -sx / length;
      vertices[o + 6] = -sy / length;
      vertices[o + 7] = 1 / length;
      vertices[o + 8] = valueAt(f.evaluated, i);
    }
  }
  return { nAlpha, nBeta, half, vertices, indices: triangles(f.z, nAlpha, nBeta) };
}

/** True if a vertex has a value; holes have no normal. */
const isKnown = (mesh: Mesh, o: number): boolean => valueAt(mesh.vertices, o + 7) > 0;

/** True if one mesh can turn into the other vertex by vertex. */
export const isAlike = (a: Mesh, b: Mesh): boolean =>
  a.nAlpha === b.nAlpha && a.nBeta === b.nBeta && `${a.half}` === `${b.half}`;

/** Return the mesh between two others, share 0..1; new vertices are in place at once. */
export function blendMesh(from: Mesh, to: Mesh, share: number): Mesh {
  const vertices = to.vertices.slice();
  for (let o = 0; o < vertices.length; o += STRIDE) {
    if (!isKnown(from, o) || !isKnown(to, o)) continue;
    for (let k = o + 2; k < o + 8; k++) {
      const [start, end] = [valueAt(from.vertices, k), valueAt(to.vertices, k)];
      // A color that is not known cannot be blended.
      vertices[k] = k === o + 4 && (start < 0 || end < 0) ? end : start + share * (end - start);
    }
  }
  return { ...to, vertices };
}
