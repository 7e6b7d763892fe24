// What a picture shows: one quantity as height with its grid and levels, and the layer that colors it.

import { type Channel, makeChannel } from "./channel.ts";
import { CONVEXITY_LIMITS, isCurvature } from "./convexity.ts";
import { isPercent } from "./format.ts";
import { contourLevels } from "./ticks.ts";
import type { Levels, Range, ScaleName, Snapshot } from "./wire.ts";

export { type Cut, scaleValue, unit } from "./channel.ts";

export interface Field extends Channel {
  nAlpha: number;
  nBeta: number;
  alpha: Range;
  beta: Range;
  evaluated: Float32Array;
  levels: number[];
  /** What colors the picture; the height itself unless another layer was chosen. */
  color: Channel;
  /** What a line has on its second axis. */
  second?: Channel;
}

export interface GridPoint {
  row: number;
  column: number;
  /** The checkpoint that is meant, where it is one. */
  checkpoint?: number;
}

/** The i-th of n evenly spaced coordinates; zero is zero, whatever rounding makes of it. */
function coordinate([lo, hi]: Range, n: number, i: number): number {
  if (n === 1) return lo;
  const at = lo + ((hi - lo) * i) / (n - 1);
  return Math.abs(at) < 1e-9 * (hi - lo) ? 0 : at;
}

export const alphaAt = (f: Pick<Field, "alpha" | "nAlpha">, column: number): number =>
  coordinate(f.alpha, f.nAlpha, column);
export const betaAt = (f: Pick<Field, "beta" | "nBeta">, row: number): number => coordinate(f.beta, f.nBeta, row);

/** How a field is made of a snapshot. */
export interface Choice {
  quantity: string;
  scale: ScaleName;
  color?: string | null;
  clip?: number | null;
  limits?: Range | null;
  color_limits?: Range | null;
  levels?: Levels;
  /** The range of values that are drawn beside the grid, in original units. */
  reach?: Range | null;
  /** Ranges in scaled units that several pictures have in common, by `rangeKey`. */
  common?: (key: string) => Range | null;
}

/** Pictures share a range when they show the same quantity on the same scale. */
export const rangeKey = (c: Pick<Channel, "quantity" | "scale">): string => `${c.quantity} ${c.scale}`;

/** A layer that only colors is on the scale of the height where that makes sense: shares and curvatures are always linear. */
const colorScale = (quantity: string, scale: ScaleName): ScaleName =>
  isPercent(quantity) || isCurvature(quantity) ? "linear" : scale;

/** Builds the field of one quantity. Quantities the snapshot lacks fall back to its first layer. */
export function makeField(s: Snapshot, alpha: Range, beta: Range, choice: Choice): Field {
  const { scale, clip = null, limits = null, reach = null, levels = "auto", common = () => null } = choice;
  const known = (name: string | null | undefined): name is string => typeof name === "string" && s.layers.has(name);
  const name = known(choice.quantity) ? choice.quantity : (s.layers.keys().next().value as string);
  const values = s.layers.get(name) as Float32Array;
  const height = makeChannel(name, values, scale, {
    clip,
    limits,
    reach,
    common: common(rangeKey({ quantity: name, scale })),
  });
  let color: Channel = height;
  if (known(choice.color) && choice.color !== name) {
    const colored = { quantity: choice.color, scale: colorScale(choice.color, scale) };
    color = makeChannel(colored.quantity, s.layers.get(colored.quantity) as Float32Array, colored.scale, {
      limits: choice.color_limits ?? (choice.color === "convexity" ? CONVEXITY_LIMITS : null),
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
    levels: height.flat ? [] : contourLevels(height.lo, height.hi, scale, levels),
    color,
  };
}

/** Where a point of the plane lies on the grid, in fractional columns and rows; null when it is outside. */
export function locate(f: Field, alpha: number, beta: number): { column: number; row: number } | null {
  const column =
    f.nAlpha > 1 ? ((alpha - f.alpha[0]) / (f.alpha[1] - f.alpha[0])) * (f.nAlpha - 1) : alpha === f.alpha[0] ? 0 : -1;
  const row =
    f.nBeta > 1 ? ((beta - f.beta[0]) / (f.beta[1] - f.beta[0])) * (f.nBeta - 1) : beta === f.beta[0] ? 0 : -1;
  const inside = column >= -1e-9 && row >= -1e-9 && column <= f.nAlpha - 1 + 1e-9 && row <= f.nBeta - 1 + 1e-9;
  return inside ? { column: Math.max(0, column), row: Math.max(0, row) } : null;
}

/** The grid point with the smallest evaluated value; null when there is none. */
export function lowest(f: Field): GridPoint | null {
  let at = -1;
  for (let i = 0; i < f.z.length; i++)
    if (f.evaluated[i] !== 0 && (at < 0 ? !Number.isNaN(f.z[i]) : f.z[i] < f.z[at])) at = i;
  return at < 0 ? null : { row: Math.floor(at / f.nAlpha), column: at % f.nAlpha };
}

/** Bilinear scaled value at fractional grid coordinates; the nearest grid point's value beside a hole. */
export function interpolate(f: Field, column: number, row: number): number {
  const c = Math.min(Math.floor(column), Math.max(f.nAlpha - 2, 0));
  const r = Math.min(Math.floor(row), Math.max(f.nBeta - 2, 0));
  const [u, v] = [Math.min(column - c, 1), Math.min(row - r, 1)];
  const c1 = Math.min(c + 1, f.nAlpha - 1);
  const r1 = Math.min(r + 1, f.nBeta - 1);
  const [z00, z10] = [f.z[r * f.nAlpha + c], f.z[r * f.nAlpha + c1]];
  const [z01, z11] = [f.z[r1 * f.nAlpha + c], f.z[r1 * f.nAlpha + c1]];
  const smooth = (1 - v) * ((1 - u) * z00 + u * z10) + v * ((1 - u) * z01 + u * z11);
  if (!Number.isNaN(smooth)) return smooth;
  return v < 0.5 ? (u < 0.5 ? z00 : z10) : u < 0.5 ? z01 : z11;
}
