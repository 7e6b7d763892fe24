// Results of several seeds: lines are drawn as median and quartiles, surfaces one at a time.

import { quantileSorted } from "d3-array";
import { at, layerOf } from "./access.ts";
import { type Channel, makeChannel } from "./channel.ts";
import { type Field, rangeKey } from "./field.ts";
import { isPercent } from "./format.ts";
import { counterpart, parseLayerName, siblings } from "./layerNames.ts";
import type { Range, Snapshot } from "./wire.ts";

export const isLine = ({ nAlpha, nBeta }: Pick<Snapshot, "nAlpha" | "nBeta">): boolean => nAlpha === 1 || nBeta === 1;

/** The curves of the seeds are drawn thin behind their median, unless there are more. */
export const MOST_SEEDS = 12;

export interface Band {
  median: Float32Array;
  low: Float32Array;
  high: Float32Array;
}

/** Return the median and the quartiles of several seeds at every place, over their finite values; NaN if there is none. */
export function bandOfSeeds(seeds: ArrayLike<number>[]): Band {
  const n = seeds[0]?.length ?? 0;
  const sorted = Array.from({ length: n }, (_, i) =>
    Float32Array.from(seeds.map((values) => at(values, i)).filter(Number.isFinite)).sort(),
  );
  const quantile = (share: number): Float32Array =>
    Float32Array.from(sorted, (values) => quantileSorted(values as unknown as number[], share) ?? NaN);
  return { median: quantile(0.5), low: quantile(0.25), high: quantile(0.75) };
}

/** Return what is drawn of a line with several seeds. */
export const seedsText = (n: number): string => `median and quartiles of ${n} seeds`;

/** Return the snapshot to show of several seeds: the median of lines, else the seed with this index. */
export function chooseSeed(all: Snapshot, index: number): Snapshot {
  const { seeds } = all;
  if (!seeds) return all;
  const size = all.nAlpha * all.nBeta;
  if (!isLine(all)) {
    const chosen = Math.max(0, Math.min(seeds.length - 1, index));
    const own = [...(all.failed?.at ?? [])].map((i) => i - chosen * size).filter((i) => i >= 0 && i < size);
    return {
      ...all,
      layers: at(seeds, chosen),
      ...(all.failed ? { failed: { ...all.failed, at: new Set(own) } } : {}),
    };
  }
  // The standard error of one seed says nothing about the spread of the seeds.
  const names = [...at(seeds, 0).keys()].filter((name) => !parseLayerName(name).isError);
  const combined = (name: string): Float32Array => {
    const layers = seeds.map((seed) => layerOf(seed, name));
    // A point is evaluated if it is for every seed.
    if (name === "evaluated") return at(layers, 0).map((_, i) => Math.min(...layers.map((values) => at(values, i))));
    return bandOfSeeds(layers).median;
  };
  const failed = all.failed && { ...all.failed, at: new Set([...all.failed.at].map((i) => i % size)) };
  return { ...all, layers: new Map(names.map((name) => [name, combined(name)])), ...(failed ? { failed } : {}) };
}

/** Return the range of all curves drawn together with a quantity; null if it is drawn alone. */
export function reachOfCurves(s: Snapshot, quantity: string): Range | null {
  if (!isLine(s)) return null;
  const names = siblings(s, quantity);
  if (names.length === 1 && !s.seeds) return null;
  let [lo, hi] = [Infinity, -Infinity];
  for (const layers of s.seeds ?? [s.layers]) {
    for (const name of names) {
      for (const v of layers.get(name) ?? []) if (Number.isFinite(v)) [lo, hi] = [Math.min(lo, v), Math.max(hi, v)];
    }
  }
  return lo <= hi ? [lo, hi] : null;
}

/**
 * Return the quantity on the second axis of a line: the layer chosen to color, else accuracy beside loss and loss
 * beside accuracy.
 */
export function secondQuantity(snapshot: Snapshot, f: Field): string | null {
  if (parseLayerName(f.color.quantity).base !== parseLayerName(f.quantity).base) return f.color.quantity;
  const { base, isError } = parseLayerName(f.quantity);
  const other = { loss: "accuracy", accuracy: "loss" }[base];
  return other && !isError ? counterpart(snapshot, f.quantity, other) : null;
}

/** Return the layer of the second axis of a line, on the range that compared lines share. */
export function secondChannel(snapshot: Snapshot, f: Field, common: (key: string) => Range | null): Channel | null {
  const quantity = isLine(f) ? secondQuantity(snapshot, f) : null;
  if (quantity === null) return null;
  if (f.color.quantity === quantity) return f.color;
  const scale = isPercent(quantity) ? "linear" : f.scale;
  const limits = { reach: reachOfCurves(snapshot, quantity), common: common(rangeKey({ quantity, scale })) };
  return makeChannel(quantity, layerOf(snapshot.layers, quantity), scale, limits);
}
