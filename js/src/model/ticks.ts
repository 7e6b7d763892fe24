// Ticks and contour levels on a linear or a log10 scale. Positions are in scaled units, labels in original units.

import { range, ticks } from "d3-array";
import { at } from "./access.ts";
import type { Levels, ScaleName } from "./controls.ts";
import { formatNumber, tickLabels } from "./format.ts";

export interface Tick {
  at: number;
  label: string;
}

export function linearTicks(lo: number, hi: number, count: number, percent = false): Tick[] {
  if (lo === hi) return [{ at: lo, label: formatNumber(lo * (percent ? 100 : 1), 3) + (percent ? " %" : "") }];
  const values = ticks(lo, hi, count);
  const labels = tickLabels(values, percent);
  return values.map((value, i) => ({ at: value, label: at(labels, i) }));
}

/** Return every `stride`-th power of ten between lo and hi (log10 units), times each of the mantissas. */
function decades(lo: number, hi: number, stride: number, mantissas: number[]): number[] {
  const found: number[] = [];
  for (let power = Math.floor(lo / stride) * stride; power <= hi; power += stride) {
    for (const mantissa of mantissas) {
      const at = power + Math.log10(mantissa);
      if (at >= lo - 1e-9 && at <= hi + 1e-9) found.push(at);
    }
  }
  return found;
}

/** Return about `count` positions of the densest usual series; evenly spaced values if the range is below a decade. */
function logPositions(lo: number, hi: number, count: number): number[] {
  const span = hi - lo;
  if (span < 0.9)
    return ticks(10 ** lo, 10 ** hi, count)
      .map(Math.log10)
      .filter(Number.isFinite);
  for (const mantissas of [
    [1, 1.5, 2, 3, 5, 7],
    [1, 2, 5],
    [1, 3],
  ]) {
    if (span * mantissas.length <= count) return decades(lo, hi, 1, mantissas);
  }
  return decades(lo, hi, Math.max(1, Math.ceil(span / count)), [1]);
}

/** Return the ticks of a value axis. lo and hi are in scaled units. */
export function valueTicks(lo: number, hi: number, scale: ScaleName, count: number, percent = false): Tick[] {
  if (scale === "linear") return linearTicks(lo, hi, count, percent);
  const suffix = percent ? " %" : "";
  const unit = percent ? 100 : 1;
  return logPositions(lo, hi, count).map((at) => ({ at, label: formatNumber(10 ** at * unit, 3) + suffix }));
}

/** The contour levels of Li et al. (2018), and those that they add to a plane with a training path. */
const PAPER_LEVELS = range(20).map((i) => (1 + 5 * i) / 10);
const PAPER_PATH_LEVELS = range(1, 9).map((power) => 10 ** power);

/**
 * Return the contour levels strictly inside (lo, hi), in scaled units. A list of levels is given in original units;
 * `path` is true if there is a training path.
 */
export function contourLevels(
  lo: number,
  hi: number,
  scale: ScaleName,
  levels: Levels = "auto",
  path = false,
): number[] {
  const margin = (hi - lo) * 1e-6;
  const inside = (at: number[]): number[] => at.filter((v) => v > lo + margin && v < hi - margin);
  if (levels === "auto") return inside(scale === "linear" ? ticks(lo, hi, 12) : logPositions(lo, hi, 16));
  const paper = [...PAPER_LEVELS, ...(path ? PAPER_PATH_LEVELS : [])];
  const chosen = levels === "paper" ? paper : [...levels].sort((a, b) => a - b);
  return inside(scale === "linear" ? chosen : chosen.filter((v) => v > 0).map(Math.log10));
}

/**
 * Return a function from a value to its level coordinate: the i-th level is at i, linear in between and beyond. Contour
 * lines are where this coordinate is an integer, for any levels.
 */
export function levelCoordinate(levels: number[]): (value: number) => number {
  const n = levels.length;
  if (n === 0) return () => 0.5;
  const level = (i: number): number => at(levels, i);
  if (n === 1) return (v) => (v >= level(0) ? 0.01 : -0.01) + (v - level(0));
  return (v) => {
    let i = 0;
    while (i < n - 2 && v >= level(i + 1)) i++;
    return i + (v - level(i)) / (level(i + 1) - level(i));
  };
}
