// One quantity of a snapshot, scaled and ready to draw: heights, display range, ticks, levels.

import { quantileSorted } from "d3-array";
import { isPercent } from "./format.ts";
import { contourLevels } from "./ticks.ts";
import type { Range, ScaleName, Snapshot } from "./wire.ts";

/** Values above `at` are not drawn: `share` of all finite ones, the largest is `max`. */
export interface Cut {
  at: number;
  share: number;
  max: number;
}

export interface Field {
  quantity: string;
  percent: boolean;
  scale: ScaleName;
  nAlpha: number;
  nBeta: number;
  alpha: Range;
  beta: Range;
  /** Original values, row = beta, column = alpha. */
  values: Float32Array;
  evaluated: Float32Array;
  /** Scaled values (log10 on a log scale); NaN is a hole. */
  z: Float32Array;
  /** Display range in scaled units, lo < hi. */
  lo: number;
  hi: number;
  /** Smallest and largest finite value in original units; NaN when there is none. */
  min: number;
  max: number;
  cut: Cut | null;
  levels: number[];
  nFinite: number;
}

export interface GridPoint {
  row: number;
  column: number;
}

export const alphaAt = (f: Pick<Field, "alpha" | "nAlpha">, column: number): number =>
  f.nAlpha > 1 ? f.alpha[0] + ((f.alpha[1] - f.alpha[0]) * column) / (f.nAlpha - 1) : f.alpha[0];

export const betaAt = (f: Pick<Field, "beta" | "nBeta">, row: number): number =>
  f.nBeta > 1 ? f.beta[0] + ((f.beta[1] - f.beta[0]) * row) / (f.nBeta - 1) : f.beta[0];

/** The scaled value as a share of the display range, 0..1 inside it. */
export const unit = (f: Field, z: number): number => (z - f.lo) / (f.hi - f.lo);

export const scaleValue = (value: number, scale: ScaleName): number =>
  scale === "linear" ? (Number.isFinite(value) ? value : NaN) : value > 0 && Number.isFinite(value) ? Math.log10(value) : NaN;

/**
 * Where to cut a linear scale. A minimum with a few gigantic values around it would otherwise be a flat line; so when the top
 * tenth is more than CUT_RATIO times as high as all the rest, the picture ends at CUT_SHARE.
 */
const CUT_RATIO = 6;
const CUT_SHARE = 0.9;

function findCut(sorted: Float32Array): Cut | null {
  const n = sorted.length;
  if (n < 20) return null;
  const [min, max] = [sorted[0], sorted[n - 1]];
  const at = quantileSorted(sorted as unknown as number[], CUT_SHARE) as number;
  if (!(at > min) || max - min <= CUT_RATIO * (at - min)) return null;
  return { at, share: sorted.filter((v) => v > at).length / n, max };
}

function padded(lo: number, hi: number): Range {
  // float32 has about seven digits: anything flatter than that is flat.
  const flat = Math.max(Math.abs(lo), Math.abs(hi)) * 1e-6;
  if (hi - lo > flat && hi - lo > 1e-30) return [lo, hi];
  const pad = Math.max(Math.abs(lo) * 0.05, 1e-6);
  return [lo - pad, hi + pad];
}

/** Builds the field of one quantity. Quantities the snapshot lacks fall back to its first layer. */
export function makeField(s: Snapshot, alpha: Range, beta: Range, quantity: string, scale: ScaleName): Field {
  const name = s.layers.has(quantity) ? quantity : (s.layers.keys().next().value as string);
  const values = s.layers.get(name) as Float32Array;
  const evaluated = s.layers.get("evaluated") ?? new Float32Array(values.length).fill(1);
  const z = values.map((v) => scaleValue(v, scale));
  const sorted = z.filter((v) => !Number.isNaN(v)).sort();
  const finite = values.filter((v) => Number.isFinite(v)).sort();
  const nFinite = sorted.length;
  const cut = scale === "linear" ? findCut(sorted) : null;
  const [lo, hi] = nFinite ? padded(sorted[0], cut ? cut.at : sorted[nFinite - 1]) : [0, 1];
  const isFlat = nFinite === 0 || lo < sorted[0];
  return {
    quantity: name,
    percent: isPercent(name),
    scale,
    nAlpha: s.nAlpha,
    nBeta: s.nBeta,
    alpha,
    beta,
    values,
    evaluated,
    z,
    lo,
    hi,
    min: finite.length ? finite[0] : NaN,
    max: finite.length ? finite[finite.length - 1] : NaN,
    cut,
    levels: isFlat ? [] : contourLevels(lo, hi, scale),
    nFinite,
  };
}

/** Where a point of the plane lies on the grid, in fractional columns and rows; null when it is outside. */
export function locate(f: Field, alpha: number, beta: number): { column: number; row: number } | null {
  const column = f.nAlpha > 1 ? ((alpha - f.alpha[0]) / (f.alpha[1] - f.alpha[0])) * (f.nAlpha - 1) : alpha === f.alpha[0] ? 0 : -1;
  const row = f.nBeta > 1 ? ((beta - f.beta[0]) / (f.beta[1] - f.beta[0])) * (f.nBeta - 1) : beta === f.beta[0] ? 0 : -1;
  const inside = column >= -1e-9 && row >= -1e-9 && column <= f.nAlpha - 1 + 1e-9 && row <= f.nBeta - 1 + 1e-9;
  return inside ? { column: Math.max(0, column), row: Math.max(0, row) } : null;
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
