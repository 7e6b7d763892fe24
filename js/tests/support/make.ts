// Snapshots and metas for the tests.

import { at } from "../../src/model/access.ts";
import type { ScaleName } from "../../src/model/controls.ts";
import { type Field, type FieldOptions, makeField } from "../../src/model/field.ts";
import type { Meta, Range, Snapshot, Trajectory } from "../../src/model/wire.ts";

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
  options: { scale?: ScaleName; alpha?: Range; beta?: Range; quantity?: string; choice?: Partial<FieldOptions> } = {},
): Field {
  const values = Float32Array.from({ length: nBeta * nAlpha }, (_, i) => value(Math.floor(i / nAlpha), i % nAlpha));
  const quantity = options.quantity ?? "loss";
  const snapshot: Snapshot = { nAlpha, nBeta, layers: new Map([[quantity, values]]) };
  return makeField(snapshot, options.alpha ?? [-1, 1], options.beta ?? [-1, 1], {
    quantity,
    scale: options.scale ?? "linear",
    ...options.choice,
  });
}

/** A line of three points, one record of layers for each seed. */
export const line = (...layers: Record<string, number[]>[]): Snapshot => {
  const seeds = layers.map(
    (run) => new Map(Object.entries(run).map(([name, values]) => [name, Float32Array.from(values)])),
  );
  return { nAlpha: 3, nBeta: 1, layers: at(seeds, 0), ...(seeds.length > 1 ? { seeds } : {}) };
};

/** A line on training and on testing data. */
export const both = line({
  train_loss: [1, 2, 3],
  train_loss_stderr: [0, 0, 0],
  train_accuracy: [1, 1, 1],
  test_loss: [5, 0.5, NaN],
  evaluated: [1, 1, 1],
});

/** A run of four checkpoints, some of it not known. */
export const run: Trajectory = {
  alpha: [-1, 0, 3, null],
  beta: [0, 0.5, 0, 0],
  values: { loss: [4, null, 1, 1], accuracy: [0.5, 0.75, null, 1] },
  outside: [0.5, 0, 1, null],
  learning_rate: [0.1, 0.1, 0.01, null],
  captured: 0.834,
  labels: ["0", "1", "2", "3"],
};

/** The plane that the run is drawn on. */
export const plane = fieldOf(3, 5, (r, c) => 1 + r + c, { alpha: [-2, 2], beta: [-1, 1] });
