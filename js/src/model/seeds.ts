// Results of several seeds: lines are drawn as their mean and range, surfaces one at a time.

import { bandOf } from "../plot/chart.ts";
import { type Channel, makeChannel } from "./channel.ts";
import { type Field, rangeKey } from "./field.ts";
import { isPercent } from "./format.ts";
import { counterpart, partsOf, siblings } from "./layerNames.ts";
import type { Range, Snapshot } from "./wire.ts";

export const isLine = ({ nAlpha, nBeta }: Pick<Snapshot, "nAlpha" | "nBeta">): boolean => nAlpha === 1 || nBeta === 1;

/** The snapshot that is shown of several runs: the mean of lines, else the run with this index. */
export function chooseRun(all: Snapshot, index: number): Snapshot {
  const { runs } = all;
  if (!runs) return all;
  if (!isLine(all)) return { ...all, layers: runs[Math.max(0, Math.min(runs.length - 1, index))] };
  // The error of each run says nothing of how far the runs lie apart.
  const names = [...runs[0].keys()].filter((name) => !partsOf(name).isError);
  const mean = (name: string): Float32Array => {
    const values = runs.map((run) => run.get(name) as Float32Array);
    return name === "evaluated" ? values[0].map((_, i) => Math.min(...values.map((v) => v[i]))) : bandOf(values).mean;
  };
  return { ...all, layers: new Map(names.map((name) => [name, mean(name)])) };
}

/** The range of all curves that are drawn together with a quantity; null where it is drawn alone. */
export function reachOfCurves(s: Snapshot, quantity: string): Range | null {
  if (!isLine(s)) return null;
  const names = siblings(s, quantity);
  if (names.length === 1 && !s.runs) return null;
  let [lo, hi] = [Infinity, -Infinity];
  for (const layers of s.runs ?? [s.layers]) {
    for (const name of names) {
      for (const v of layers.get(name) ?? []) if (Number.isFinite(v)) [lo, hi] = [Math.min(lo, v), Math.max(hi, v)];
    }
  }
  return lo <= hi ? [lo, hi] : null;
}

/** What is drawn on the second axis of a line: the layer that was chosen to color, else accuracy beside loss and loss beside accuracy. */
export function secondQuantity(snapshot: Snapshot, f: Field): string | null {
  if (partsOf(f.color.quantity).base !== partsOf(f.quantity).base) return f.color.quantity;
  const { base, isError } = partsOf(f.quantity);
  const other = { loss: "accuracy", accuracy: "loss" }[base];
  return other && !isError ? counterpart(snapshot, f.quantity, other) : null;
}

/** The layer of the second axis of a line, on the range that compared lines agreed on. */
export function secondChannel(snapshot: Snapshot, f: Field, common: (key: string) => Range | null): Channel | null {
  const quantity = isLine(f) ? secondQuantity(snapshot, f) : null;
  if (quantity === null) return null;
  if (f.color.quantity === quantity) return f.color;
  const scale = isPercent(quantity) ? "linear" : f.scale;
  const limits = { reach: reachOfCurves(snapshot, quantity), common: common(rangeKey({ quantity, scale })) };
  return makeChannel(quantity, snapshot.layers.get(quantity) as Float32Array, scale, limits);
}
