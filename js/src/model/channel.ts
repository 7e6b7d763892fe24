// One layer of a snapshot: its scaled values and the range they are drawn on.

import { bisectRight, quantileSorted } from "d3-array";
import { at } from "./access.ts";
import type { ScaleName } from "./controls.ts";
import { isPercent } from "./format.ts";
import type { Range } from "./wire.ts";

/** Values above `at` are not drawn. They are `share` of the finite ones, the largest is `max`. In original units. */
export interface Cut {
  at: number;
  share: number;
  max: number;
  /** True if a person asked for it. */
  chosen: boolean;
}

export interface Channel {
  quantity: string;
  percent: boolean;
  scale: ScaleName;
  /** Original values; row = beta, column = alpha. */
  values: Float32Array;
  /** Scaled values (log10 on a log scale); NaN is a hole. */
  z: Float32Array;
  /** Display range in scaled units; lo < hi. */
  lo: number;
  hi: number;
  /** The range that the values ask for; the display range unless another one was given. */
  own: Range;
  /** Smallest and largest finite value in original units; NaN if there is none. */
  min: number;
  max: number;
  cut: Cut | null;
  nFinite: number;
  /** True if all values are equal. */
  flat: boolean;
}

export interface Limits {
  /** Ends of the display range in original units. */
  limits?: Range | null;
  /** Display range that several pictures share, in scaled units; used if there are no limits. */
  common?: Range | null;
  /** Range of values drawn beside the grid, in original units: included, unless that would flatten all else. */
  reach?: Range | null;
  /** Upper bound of the display range, in original units. */
  clip?: number | null;
}

/** Return a scaled value as a share of the display range: 0..1 inside it. */
export const unit = (c: Pick<Channel, "lo" | "hi">, z: number): number => (z - c.lo) / (c.hi - c.lo);

export const scaleValue = (value: number, scale: ScaleName): number =>
  scale === "linear"
    ? Number.isFinite(value)
      ? value
      : NaN
    : value > 0 && Number.isFinite(value)
      ? Math.log10(value)
      : NaN;

export const unscale = (z: number, scale: ScaleName): number => (scale === "log" ? 10 ** z : z);

/**
 * Where to cut a linear scale. A few huge values would flatten the minimum they surround; so if the top tenth is more
 * than CUT_RATIO times as high as all the rest, the picture ends at the quantile CUT_SHARE.
 */
const CUT_RATIO = 6;
const CUT_SHARE = 0.9;

function findCut(sorted: Float32Array): number | null {
  const n = sorted.length;
  if (n < 20) return null;
  const [min, max] = [at(sorted, 0), at(sorted, n - 1)];
  const quantile = quantileSorted(sorted as unknown as number[], CUT_SHARE) as number;
  return quantile > min && max - min > CUT_RATIO * (quantile - min) ? quantile : null;
}

function padded(lo: number, hi: number): Range {
  // float32 has about seven digits: a smaller difference is rounding.
  const flat = Math.max(Math.abs(lo), Math.abs(hi)) * 1e-6;
  if (hi - lo > flat && hi - lo > 1e-30) return [lo, hi];
  const pad = Math.max(Math.abs(lo) * 0.05, 1e-6);
  return [lo - pad, hi + pad];
}

function widened([lo, hi]: Range, reach: Range | null): Range {
  const furthest = (CUT_RATIO - 1) * (hi - lo);
  const [a, b] = reach ?? [NaN, NaN];
  return [a < lo && a >= lo - furthest ? a : lo, b > hi && b <= hi + furthest ? b : hi];
}

export function makeChannel(quantity: string, values: Float32Array, scale: ScaleName, given: Limits = {}): Channel {
  const z = values.map((v) => scaleValue(v, scale));
  const sorted = z.filter((v) => !Number.isNaN(v)).sort();
  let [min, max] = [Infinity, -Infinity];
  for (const v of values) {
    if (v < min && v > -Infinity) min = v;
    if (v > max && v < Infinity) max = v;
  }
  const n = sorted.length;
  const automatic = scale === "linear" ? findCut(sorted) : null;
  const [lowest, highest] = n ? [at(sorted, 0), at(sorted, n - 1)] : [NaN, NaN];
  const tight: Range = n ? padded(lowest, automatic ?? highest) : [0, 1];
  const scaled = ([a, b]: Range): Range => [scaleValue(a, scale), scaleValue(b, scale)];
  const own = n ? widened(tight, given.reach ? scaled(given.reach) : null) : tight;
  let [lo, hi] = given.common ?? own;
  if (given.limits) {
    const [a, b] = scaled(given.limits);
    // A log scale cannot begin at or below zero: it begins at the smallest value.
    [lo, hi] = padded(Number.isNaN(a) ? Math.min(lo, b) : a, Number.isNaN(b) ? hi : b);
  }
  const clip = given.clip === null || given.clip === undefined ? NaN : scaleValue(given.clip, scale);
  // A clip below every value would leave nothing to draw.
  const clips = clip < hi && clip > lo;
  // A clip above the automatic cut undoes that cut.
  if (clips) hi = clip;
  else if (automatic !== null && !given.limits && !given.common && clip > hi) hi = Math.min(clip, highest);
  const above = highest > hi + 1e-6 * Math.abs(hi) ? n - bisectRight(sorted, hi + 1e-6 * Math.abs(hi)) : 0;
  return {
    quantity,
    percent: isPercent(quantity),
    scale,
    values,
    z,
    lo,
    hi,
    own,
    min: min <= max ? min : NaN,
    max: min <= max ? max : NaN,
    cut: above ? { at: unscale(hi, scale), share: above / n, max, chosen: clips || Boolean(given.limits) } : null,
    nFinite: n,
    flat: n === 0 || tight[0] < lowest,
  };
}
