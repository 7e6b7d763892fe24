// What a picture shows: one quantity as height, with its grid and contour levels, and the layer that colors it.

import { at, layerOf, valueAt } from "./access.ts";
import { type Channel, makeChannel } from "./channel.ts";
import type { Levels, ScaleName } from "./controls.ts";
import { CONVEXITY_LIMITS, isHessianLayer } from "./convexity.ts";
import { isPercent } from "./format.ts";
import { contourLevels } from "./ticks.ts";
import type { Range, Snapshot } from "./wire.ts";

export { type Cut, scaleValue, unit } from "./channel.ts";

export interface Field extends Channel {
  nAlpha: number;
  nBeta: number;
  alpha: Range;
  beta: Range;
  evaluated: Float32Array;
  levels: number[];
  /** The layer that colors the picture; the height itself unless another one was chosen. */
  color: Channel;
  /** The quantity on the second axis of a line. */
  second?: Channel;
}

export interface GridPoint {
  row: number;
  column: number;
  /** Index of the checkpoint, if one is meant. */
  checkpoint?: number;
}

/** Return the i-th of n evenly spaced coordinates; zero is exactly zero despite rounding. */
function coordinate([lo, hi]: Range, n: number, i: number): number {
  if (n === 1) return lo;
  const at = lo + ((hi - lo) * i) / (n - 1);
  return Math.abs(at) < 1e-9 * (hi - lo) ? 0 : at;
}

export const alphaAt = (f: Pick<Field, "alpha" | "nAlpha">, column: number): number =>
  coordinate(f.alpha, f.nAlpha, column);
export const betaAt = (f: Pick<Field, "beta" | "nBeta">, row: number): number => coordinate(f.beta, f.nBeta, row);

/** How to make a field from a snapshot. */
export interface FieldOptions {
  quantity: string;
  scale: ScaleName;
  color?: string | null;
  clip?: number | null;
  limits?: Range | null;
  color_limits?: Range | null;
  levels?: Levels;
  /** Range of the values drawn beside the grid, in original units. */
  reach?: Range | null;
  /** True if there is a training path. */
  path?: boolean;
  /** Ranges that several pictures share, in scaled units, by `rangeKey`. */
  common?: (key: string) => Range | null;
}

/** Pictures share a range if they show the same quantity on the same scale. */
export const rangeKey = (c: Pick<Channel, "quantity" | "scale">): string => `${c.quantity} ${c.scale}`;

/**
 * A layer that only colors has the scale of the height, except that shares and layers of the Hessian are always
 * linear.
 */
const colorScale = (quantity: string, scale: ScaleName): ScaleName =>
  isPercent(quantity) || isHessianLayer(quantity) ? "linear" : scale;

/** Make the field of one quantity; the first layer if the snapshot does not have that quantity. */
export function makeField(s: Snapshot, alpha: Range, beta: Range, options: FieldOptions): Field {
  const {
    scale,
    clip = null,
    limits = null,
    reach = null,
    path = false,
    levels = "auto",
    common = () => null,
  } = options;
  const known = (name: string | null | undefined): name is string => typeof name === "string" && s.layers.has(name);
  const name = known(options.quantity) ? options.quantity : at([...s.layers.keys()], 0);
  const values = layerOf(s.layers, name);
  const height = makeChannel(name, values, scale, {
    clip,
    limits,
    reach,
    common: common(rangeKey({ quantity: name, scale })),
  });
  let color: Channel = height;
  if (known(options.color) && options.color !== name) {
    const colored = { quantity: options.color, scale: colorScale(options.color, scale) };
    color = makeChannel(colored.quantity, layerOf(s.layers, colored.quantity), colored.scale, {
      limits: options.color_limits ?? (options.color === "convexity" ? CONVEXITY_LIMITS : null),
      common: common(rangeKey(colored)),
    });
  }
  return {
    ...height,
    nAlpha: s.nAlpha,
    nBeta: s.nBeta,
    alpha,
    beta,
    evaluated: s.layers.get("evaluated") ?? new Float32Array(values.length).fill(1),
    levels: height.flat ? [] : contourLevels(height.lo, height.hi, scale, levels, path),
    color,
  };
}

/** Return the place of a point of the plane in fractional columns and rows; null outside the grid. */
export function locate(f: Field, alpha: number, beta: number): { column: number; row: number } | null {
  const column =
    f.nAlpha > 1 ? ((alpha - f.alpha[0]) / (f.alpha[1] - f.alpha[0])) * (f.nAlpha - 1) : alpha === f.alpha[0] ? 0 : -1;
  const row =
    f.nBeta > 1 ? ((beta - f.beta[0]) / (f.beta[1] - f.beta[0])) * (f.nBeta - 1) : beta === f.beta[0] ? 0 : -1;
  const inside = column >= -1e-9 && row >= -1e-9 && column <= f.nAlpha - 1 + 1e-9 && row <= f.nBeta - 1 + 1e-9;
  return inside ? { column: Math.max(0, column), row: Math.max(0, row) } : null;
}

/** Return the grid point with the smallest evaluated value; null if there is none. */
export function lowest(f: Field): GridPoint | null {
  let best = -1;
  for (let i = 0; i < f.z.length; i++) {
    const z = valueAt(f.z, i);
    if (f.evaluated[i] !== 0 && (best < 0 ? !Number.isNaN(z) : z < valueAt(f.z, best))) best = i;
  }
  return best < 0 ? null : { row: Math.floor(best / f.nAlpha), column: best % f.nAlpha };
}

/**
 * Interpolate the scaled value bilinearly at fractional grid coordinates; beside a hole take the nearest grid point.
 */
export function interpolate(f: Field, column: number, row: number): number {
  const c = Math.min(Math.floor(column), Math.max(f.nAlpha - 2, 0));
  const r = Math.min(Math.floor(row), Math.max(f.nBeta - 2, 0));
  const [u, v] = [Math.min(column - c, 1), Math.min(row - r, 1)];
  const c1 = Math.min(c + 1, f.nAlpha - 1);
  const r1 = Math.min(r + 1, f.nBeta - 1);
  const [z00, z10] = [valueAt(f.z, r * f.nAlpha + c), valueAt(f.z, r * f.nAlpha + c1)];
  const [z01, z11] = [valueAt(f.z, r1 * f.nAlpha + c), valueAt(f.z, r1 * f.nAlpha + c1)];
  const smooth = (1 - v) * ((1 - u) * z00 + u * z10) + v * ((1 - u) * z01 + u * z11);
  if (!Number.isNaN(smooth)) return smooth;
  return v < 0.5 ? (u < 0.5 ? z00 : z10) : u < 0.5 ? z01 : z11;
}
