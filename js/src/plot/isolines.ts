// Contour lines in grid coordinates (column, row), without the parts that d3 adds along borders and around holes.

import { contours } from "d3-contour";
import { at, valueAt } from "../model/access.ts";
import type { Field } from "../model/field.ts";

export interface Isoline {
  level: number;
  points: [number, number][];
}

/**
 * True if the point belongs to a contour line: inside the grid, and the field really has this level. (Beside a hole d3
 * puts the line on the last grid point with a value.)
 */
function isInner(f: Field, level: number, [x, y]: [number, number]): boolean {
  if (x < 0 || y < 0 || x > f.nAlpha - 1 || y > f.nBeta - 1) return false;
  const zAt = (column: number, row: number): number => valueAt(f.z, row * f.nAlpha + column);
  const [a, b] = [zAt(Math.floor(x), Math.floor(y)), zAt(Math.ceil(x), Math.ceil(y))];
  const share = x - Math.floor(x) + (y - Math.floor(y));
  return Math.abs(a + share * (b - a) - level) <= 1e-4 * (f.hi - f.lo) + 1e-4 * Math.abs(b - a);
}

/** Split a closed ring into the stretches of points that are real contour lines. */
function split(f: Field, level: number, ring: [number, number][]): [number, number][][] {
  const inner = ring.map((p) => isInner(f, level, p));
  if (inner.every(Boolean)) return [ring];
  const n = ring.length - 1; // The last point repeats the first.
  const start = inner.findIndex((ok) => !ok) % n;
  const stretches: [number, number][][] = [];
  let stretch: [number, number][] = [];
  for (let k = 0; k <= n; k++) {
    const i = (start + k) % n;
    if (inner[i]) stretch.push(at(ring, i));
    if (!inner[i] || k === n) {
      if (stretch.length > 1) stretches.push(stretch);
      stretch = [];
    }
  }
  return stretches;
}

export function isolines(f: Field): Isoline[] {
  if (f.nAlpha < 2 || f.nBeta < 2) return [];
  const generator = contours().size([f.nAlpha, f.nBeta]).smooth(true);
  const values = Array.from(f.z);
  return f.levels.flatMap((level) =>
    generator.contour(values, level).coordinates.flatMap((polygon) =>
      // d3 puts the value of cell i at i + 0.5.
      polygon
        .flatMap((ring) =>
          split(
            f,
            level,
            ring.map((point): [number, number] => [at(point, 0) - 0.5, at(point, 1) - 0.5]),
          ),
        )
        .map((points) => ({ level, points })),
    ),
  );
}
