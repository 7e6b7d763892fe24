// Snapshots and metas for the tests.

import { makeField, type Choice, type Field } from "../src/model/field.ts";
import type { Meta, Range, ScaleName, Snapshot } from "../src/model/wire.ts";

export const LAYERS = ["loss", "loss_stderr", "accuracy", "accuracy_stderr", "evaluated"];

export function makeMeta(nBeta: number, nAlpha: number, extra: Partial<Meta> = {}): Meta {
  return {
    version: 1,
    sequence: 0,
    status: "running",
    shape: [nBeta, nAlpha],
    alpha: [-1, 1],
    beta: [-1, 1],
    seed: 0,
    layers: LAYERS,
    n_done: 0,
    n_points: nBeta * nAlpha,
    elapsed_s: 0,
    remaining_s: null,
    center: null,
    center_on_grid: true,
    title: "Net",
    subtitle: "",
    error: null,
    ...extra,
  };
}

/** A field whose value at (row, column) is given by a function. */
export function fieldOf(
  nBeta: number,
  nAlpha: number,
  value: (row: number, column: number) => number,
  options: { scale?: ScaleName; alpha?: Range; beta?: Range; quantity?: string; choice?: Partial<Choice> } = {},
): Field {
  const values = Float32Array.from({ length: nBeta * nAlpha }, (_, i) => value(Math.floor(i / nAlpha), i % nAlpha));
  const quantity = options.quantity ?? "loss";
  const snapshot: Snapshot = { nAlpha, nBeta, layers: new Map([[quantity, values]]) };
  return makeField(snapshot, options.alpha ?? [-1, 1], options.beta ?? [-1, 1], { quantity, scale: options.scale ?? "linear", ...options.choice });
}
