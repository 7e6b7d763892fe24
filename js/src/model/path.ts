// The training path over a field: where its checkpoints lie, their real heights, and which of them are labeled.

import { at } from "./access.ts";
import { type Field, type GridPoint, interpolate, scaleValue } from "./field.ts";
import { formatNumber } from "./format.ts";
import type { Range, Trajectory } from "./wire.ts";

export interface Checkpoint {
  label: string;
  /** Fractional grid coordinates; they may lie outside the grid. */
  column: number;
  row: number;
  /** Real height in scaled units; NaN if not known or not finite. */
  real: number;
  /** Height of the surface at the checkpoint in scaled units; NaN if there is none. */
  surface: number;
  /** Share of the distance from the center that lies outside the plane. */
  outside: number;
  /** The learning rate before and after, if it was lowered. */
  drop: Range | null;
}

export interface Path {
  checkpoints: Checkpoint[];
  captured: number | null;
  trajectory: Trajectory;
}

/**
 * A learning rate that falls to this share in one step, after it was steady, was lowered on purpose. Smooth schedules
 * fall all the time.
 */
const DROP = 0.6;
const STEADY = 0.9;
/** More drops than this are a schedule. */
const MOST_DROPS = 8;

/**
 * Find where the learning rate was lowered: the rates before and after, null elsewhere. The rate of the first
 * checkpoint is the one the optimizer was created with, which a warm-up never used.
 */
export function findDrops(rates: (number | null)[] | null): (Range | null)[] {
  const drops: (Range | null)[] = [];
  (rates ?? []).forEach((rate, i, all) => {
    const [earlier, before] = [all[i - 2] ?? null, all[i - 1] ?? null];
    const fell = rate !== null && earlier !== null && before !== null && rate > 0 && rate <= DROP * before;
    drops.push(fell && (before >= STEADY * earlier || drops[i - 1] !== null) ? [before, rate] : null);
  });
  return drops.filter(Boolean).length > MOST_DROPS ? drops.map(() => null) : drops;
}

const share = (coordinate: number | null | undefined, [lo, hi]: Range): number =>
  ((coordinate ?? NaN) - lo) / (hi - lo);

export function makePath(trajectory: Trajectory, f: Field): Path {
  const { alpha, beta, outside, labels, learning_rate: rates, captured } = trajectory;
  const values = trajectory.values[f.quantity];
  const drops = findDrops(rates);
  const checkpoints = labels.map((label, i): Checkpoint => {
    const [column, row] = [share(alpha[i], f.alpha) * (f.nAlpha - 1), share(beta[i], f.beta) * (f.nBeta - 1)];
    const inside = column >= 0 && row >= 0 && column <= f.nAlpha - 1 && row <= f.nBeta - 1;
    return {
      label,
      column,
      row,
      real: scaleValue(values?.[i] ?? NaN, f.scale),
      surface: inside ? interpolate(f, column, row) : NaN,
      outside: Math.max(0, Math.min(1, outside[i] ?? 0)),
      drop: drops[i] ?? null,
    };
  });
  return { checkpoints, captured, trajectory };
}

/** Return the grid point nearest to a checkpoint, with the index of that checkpoint. */
export function pointOf({ checkpoints }: Path, index: number, f: Pick<Field, "nAlpha" | "nBeta">): GridPoint {
  const nearest = (i: number, n: number): number => Math.max(0, Math.min(n - 1, Math.round(i) || 0));
  const { column, row } = at(checkpoints, index);
  return { column: nearest(column, f.nAlpha), row: nearest(row, f.nBeta), checkpoint: index };
}

/** Return the range of the real values of a quantity, in original units; null if none is known. */
export function reachOf(trajectory: Trajectory | undefined, quantity: string): Range | null {
  const known = (trajectory?.values[quantity] ?? []).filter((v): v is number => v !== null);
  return known.length ? [Math.min(...known), Math.max(...known)] : null;
}

/** Return the opacity: checkpoints far from the plane are pale, in a few steps so that neighbors form one line. */
export const opacityOf = (outside: number): number => 1 - 0.65 * (Math.round(outside * 6) / 6);

/**
 * Choose the checkpoints to label, the most important ones first: both ends, lowered learning rates, some in between.
 */
export function namedCheckpoints({ checkpoints }: Path, narrow: boolean): { index: number; text: string }[] {
  const last = checkpoints.length - 1;
  if (last < 0) return [];
  const labelOf = (i: number): string => at(checkpoints, i).label;
  // A bare number means nothing by itself.
  const name = (i: number): string =>
    /^\d+$/.test(labelOf(i)) && (i === 0 || i === last) ? `checkpoint ${labelOf(i)}` : labelOf(i);
  const named = new Map<number, string>([
    [last, name(last)],
    [0, name(0)],
  ]);
  checkpoints.forEach(({ drop }, i) => {
    if (drop)
      named.set(i, `${narrow ? "" : `${name(i)}: `}lr ${formatNumber(drop[0], 2)} → ${formatNumber(drop[1], 2)}`);
  });
  if (narrow) return [...named].map(([index, text]) => ({ index, text }));
  const epochs = checkpoints.map((_, i) => i).filter((i) => labelOf(i).startsWith("epoch"));
  const between = epochs.length > 2 ? epochs : checkpoints.map((_, i) => i);
  for (const part of [0.5, 0.25, 0.75, 0.125]) {
    const i = at(between, Math.round(part * (between.length - 1)));
    if (!named.has(i)) named.set(i, name(i));
  }
  return [...named].map(([index, text]) => ({ index, text }));
}

/** Return the share of the variation of the path that the plane captures, as a sentence; null if it is not known. */
export const capturedText = ({ captured }: Path): string | null =>
  captured === null
    ? null
    : `The plane captures ${(100 * captured).toFixed(captured > 0.995 || captured < 0.01 ? 1 : 0)} % of the path’s variation`;
