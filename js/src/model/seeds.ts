// Results of several seeds: lines are drawn as mean and range, surfaces one at a time.

import { type Channel, makeChannel } from "./channel.ts";
import { type Field, rangeKey } from "./field.ts";
import { isPercent } from "./format.ts";
import { counterpart, parseLayerName, siblings } from "./layerNames.ts";
import type { Range, Snapshot } from "./wire.ts";

export const isLine = ({ nAlpha, nBeta }: Pick<Snapshot, "nAlpha" | "nBeta">): boolean => nAlpha === 1 || nBeta === 1;

/** Return the mean, the lowest and the highest of several seeds at every place, over the finite values. */
export function bandOfSeeds(seeds: ArrayLike<number>[]): { mean: Float32Array; low: Float32Array; high: Float32Array } {
  const n = seeds[0]?.length ?? 0;
  const [mean, low, high] = [new Float32Array(n), new Float32Array(n), new Float32Array(n)];
  for (let i = 0; i < n; i++) {
    const at = seeds.map((values) => values[i]).filter(Number.isFinite);
    mean[i] = at.reduce((sum, v) => sum + v, 0) / at.length;
    low[i] = at.length ? Math.min(...at) : NaN;
    high[i] = at.length ? Math.max(...at) : NaN;
  }
  return { mean, low, high };
}

/** Return the snapshot to show of several seeds: the mean of lines, else the seed with this index. */
export function chooseSeed(all: Snapshot, index: number): Snapshot {
  const { seeds } = all;
  if (!seeds) return all;
  if (!isLine(all)) return { ...all, layers: seeds[Math.max(0, Math.min(seeds.length - 1, index))] };
  // The standard error of one seed says nothing about the spread of the seeds.
  const names = [...seeds[0].keys()].filter((name) => !parseLayerName(name).isError);
  const mean = (name: string): Float32Array => {
    const values = seeds.map((layers) => layers.get(name) as Float32Array);
    return name === "evaluated"
      ? values[0].map((_, i) => Math.min(...values.map((v) => v[i])))
      : bandOfSeeds(values).mean;
  };
  return { ...all, layers: new Map(names.map((name) => [name, mean(name)])) };
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
  return makeChannel(quantity, snapshot.layers.get(quantity) as Float32Array, scale, limits);
}
