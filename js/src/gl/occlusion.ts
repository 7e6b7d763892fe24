// Occlusion: whether the surface lies between a point of the box and the eye.

import { type Field, interpolate, unit } from "../model/field.ts";
import type { Projection } from "./camera.ts";
import { HEIGHT, type Mesh } from "./mesh.ts";

/** A point this close to the surface lies on it. */
const NEAR = 0.02;
const LEAST_STEP = 0.04;

/**
 * Return a function that walks from a point towards the eye, about a cell at a time, until it leaves the box. The
 * surface is in between if the walk changes sides, or if it starts on the surface and goes below it.
 */
export function makeOcclusion(
  f: Field,
  { half }: Pick<Mesh, "half">,
  { eye }: Pick<Projection, "eye">,
): (x: number, y: number, z: number) => boolean {
  const [hx, hy] = half;
  const cell = Math.max(
    LEAST_STEP,
    Math.min((2 * hx) / Math.max(f.nAlpha - 1, 1), (2 * hy) / Math.max(f.nBeta - 1, 1)),
  );
  const above = (x: number, y: number, z: number): number => {
    const column = ((x + hx) / (2 * hx)) * (f.nAlpha - 1);
    const row = ((y + hy) / (2 * hy)) * (f.nBeta - 1);
    if (!(column >= 0 && row >= 0 && column <= f.nAlpha - 1 && row <= f.nBeta - 1)) return NaN;
    const t = unit(f, interpolate(f, column, row));
    // A part that is cut off hides nothing.
    return t >= 0 && t <= 1 ? z - t * HEIGHT : NaN;
  };
  return (x, y, z) => {
    const [dx, dy, dz] = [eye[0] - x, eye[1] - y, eye[2] - z];
    const length = Math.hypot(dx, dy, dz);
    const step = cell / length;
    let side = 0;
    for (let k = 0; k < 200; k++) {
      const t = k * step;
      const [px, py, pz] = [x + t * dx, y + t * dy, z + t * dz];
      if (t >= 1 || pz > HEIGHT + NEAR || Math.abs(px) > hx + 1e-9 || Math.abs(py) > hy + 1e-9) return false;
      const away = above(px, py, pz);
      if (Number.isNaN(away) || Math.abs(away) < NEAR) continue;
      const now = Math.sign(away);
      if (side !== 0 && now !== side) return true;
      if (side === 0 && k > 0 && now < 0 && Math.abs(above(x, y, z)) < NEAR) return true;
      side = now;
    }
    return false;
  };
}
