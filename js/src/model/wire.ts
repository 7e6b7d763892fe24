// What Python and the viewer send each other: a frame and its meta down, the controls both ways, commands up.

import { at } from "./access.ts";
export type Range = [number, number];
export type Status = "running" | "paused" | "stopped" | "done" | "error";

/** The checkpoints of a training run. All lists have the same length; null means not known yet or not finite. */
export interface Trajectory {
  alpha: (number | null)[];
  beta: (number | null)[];
  /** The real values of every quantity. */
  values: Record<string, (number | null)[]>;
  /** Share of the distance from the center that lies outside the plane. */
  outside: (number | null)[];
  learning_rate: (number | null)[] | null;
  /** Share of the variation of the run that the plane captures. */
  captured: number | null;
  labels: string[];
}

/** Named points of the plane, (alpha, beta) each. */
export type Marks = Record<string, Range>;

/** A preview from a subset of the samples: how many, and the standard error of every quantity. */
export interface Sketch {
  n: number;
  n_samples: number;
  /** Median of the standard errors. */
  stderr: Record<string, number>;
}

/** The points, row by row, or checkpoints at which model or loss failed, and the first error. */
export interface Failed {
  at: number[];
  reason: string;
}

/** The JSON beside a frame. It describes what the frame shows, which may be older than the controls. */
export interface Meta {
  version: 1;
  sequence: number;
  status: Status;
  shape: [nBeta: number, nAlpha: number];
  alpha: Range;
  beta: Range;
  seed: number | null;
  layers: string[];
  n_done: number;
  n_points: number;
  elapsed_s: number;
  remaining_s: number | null;
  center: Record<string, number | null> | null;
  center_on_grid: boolean;
  title: string;
  subtitle: string;
  error: string | null;
  trajectory?: Trajectory;
  /** The frame holds the surfaces of these seeds, one after the other. */
  seeds?: number[];
  marks?: Marks;
  /** True if `remaining_s` is an upper bound: the tolerance may be met earlier. */
  at_most?: boolean;
  sketch?: Sketch;
  /** With `seeds`, the points of one seed follow those of the other. */
  failed?: Failed;
  failed_checkpoints?: Failed;
  /** What the person is warned of. */
  warnings?: string[];
}

export type Command =
  | { type: "pause" }
  | { type: "resume" }
  | { type: "stop" }
  | { type: "pull" }
  | { type: "probe"; alpha: number; beta: number };

/** A decoded frame: one array per layer, row = beta, column = alpha. */
export interface Snapshot {
  nAlpha: number;
  nBeta: number;
  layers: Map<string, Float32Array>;
  /** The layers of every seed, if there are several. */
  seeds?: Map<string, Float32Array>[];
  /** The points at which model or loss failed, of all seeds. */
  failed?: { at: Set<number>; reason: string };
}

const STATUSES: readonly string[] = ["running", "paused", "stopped", "done", "error"];

const isRange = (value: unknown): value is Range =>
  Array.isArray(value) && value.length === 2 && value.every((v) => Number.isFinite(v));

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1;

/** Return the meta if this viewer can read it, else null (before the first frame it is an empty object). */
export function parseMeta(json: unknown): Meta | null {
  if (typeof json !== "object" || json === null) return null;
  const meta = json as Partial<Meta>;
  const readable =
    meta.version === 1 &&
    typeof meta.status === "string" &&
    STATUSES.includes(meta.status) &&
    Array.isArray(meta.shape) &&
    meta.shape.length === 2 &&
    meta.shape.every(isCount) &&
    isRange(meta.alpha) &&
    isRange(meta.beta) &&
    Array.isArray(meta.layers);
  return readable ? (meta as Meta) : null;
}

/**
 * Split the bytes of a frame into its layers: float32, little-endian, C order, shape (n_seeds, n_layers, n_beta,
 * n_alpha). Return null if there is no frame yet or if its length does not fit the meta.
 */
export function decodeFrame(frame: DataView | null, meta: Meta): Snapshot | null {
  const [nBeta, nAlpha] = meta.shape;
  const size = nBeta * nAlpha;
  const nLayers = meta.layers.length;
  const nSeeds = meta.seeds?.length ?? 1;
  if (!frame || frame.byteLength === 0 || frame.byteLength !== 4 * size * nLayers * nSeeds) return null;
  // Some hosts do not align the buffer to four bytes; a copy is always aligned.
  const aligned = frame.byteOffset % 4 === 0;
  const buffer = aligned ? frame.buffer : frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.byteLength);
  const all = new Float32Array(buffer, aligned ? frame.byteOffset : 0, size * nLayers * nSeeds);
  const seeds = Array.from(
    { length: nSeeds },
    (_, k) =>
      new Map(
        meta.layers.map((name, i) => [name, all.subarray((k * nLayers + i) * size, (k * nLayers + i + 1) * size)]),
      ),
  );
  const failed = meta.failed && { at: new Set(meta.failed.at), reason: meta.failed.reason };
  return { nAlpha, nBeta, layers: at(seeds, 0), ...(meta.seeds ? { seeds } : {}), ...(failed ? { failed } : {}) };
}

/** True if two ranges are equal up to rounding. */
export const isSameRange = (a: Range, b: Range): boolean => {
  const width = Math.max(Math.abs(a[1] - a[0]), 1e-12);
  return Math.abs(a[0] - b[0]) <= 1e-6 * width && Math.abs(a[1] - b[1]) <= 1e-6 * width;
};

/** True if two metas describe frames of the same points and layers. */
export const isSamePlane = (a: Meta, b: Meta): boolean =>
  isSameRange(a.alpha, b.alpha) &&
  isSameRange(a.beta, b.beta) &&
  a.seed === b.seed &&
  `${a.shape} ${a.layers} ${a.seeds}` === `${b.shape} ${b.layers} ${b.seeds}`;
