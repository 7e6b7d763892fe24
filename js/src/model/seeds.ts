// Results of several seeds: lines are drawn as mean and range, surfaces one at a time.

import { at, layerOf } from "./access.ts";
import { type Channel, makeChannel } from "./channel.ts";
import { type Field, rangeKey } from "./field.ts";
import { isPercent } from "./format.ts";
import { counterpart, parseLayerName, siblings } from "./layerNames.ts";
import type { Range, Snapshot } from "./wire.ts";

export const isLine = ({ nAlpha, nBeta }: Pick<Snapshot, "nAlpha" | "nBeta">): boolean => nAlpha === 1 || nBeta === 1;

/** Return the mean, the lowest and the highest of several seeds at every place, over the finite values. */
export function bandOfSeeds(seeds: ArrayLike<number>[]): { mean: Float32Array; low: Float32Array; high: Float32Array } {
  const n = seeds[0]?.length ?? 0;
  const mean = new Float32Array(n);
  const low = new Float32Array(n);
  const high = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const finite = seeds.map((values) => at(values, i)).filter(Number.isFinite);
    mean[i] = finite.reduce((sum, v) => sum + v, 0) / finite.length;
    low[i] = finite.length ? Math.min(...finite) : NaN;
    high[i] = finite.length ? Math.max(...finite) : NaN;
  }
  return { mean, low, high };
}

/** Return the snapshot to show of several seeds: the mean of lines, else the seed with this index. */
export function chooseSeed(all: Snapshot, index: number): Snapshot {
  const { seeds } = all;
  if (!seeds) return all;
  if (!isLine(all)) return { ...all, layers: at(seeds, Math.max(0, Math.min(seeds.length - 1, index))) };
  // The standard error of one seed says nothing about the spread of the seeds.
  const names = [...at(seeds, 0).keys()].filter((name) => !parseLayerName(name).isError);
  const combined = (name: string): Float32Array => {
    const { mean, low } = bandOfSeeds(seeds.map((layers) => layerOf(layers, name)));
    // A point is evaluated if it is for every seed.
    return name === "evaluated" ? low : mean;
  };
  return { ...all, layers: new Map(names.map((name) => [name, combined(name)])) };
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
