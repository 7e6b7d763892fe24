// What travels between Python and the viewer: two traits down (frame, meta), control traits both ways, commands up.

export type Range = [number, number];
export type Status = "running" | "paused" | "stopped" | "done" | "error";
export type ViewName = "surface" | "contour";
export type ScaleName = "linear" | "log";
export type ColormapName = "viridis" | "cividis" | "magma" | "gray";
export type Levels = "auto" | "paper" | number[];

/** Where the 3D picture is looked at from; angles in radians, pan in shares of the picture. An empty object is the usual view. */
export interface CameraState {
  azimuth: number;
  elevation: number;
  zoom: number;
  pan: [number, number];
}

/** The checkpoints of a training run: all lists are of one length; null is not known yet, or not finite. */
export interface Trajectory {
  alpha: (number | null)[];
  beta: (number | null)[];
  /** The real values by quantity. */
  values: Record<string, (number | null)[]>;
  /** The share of the distance from the center that lies outside the plane. */
  outside: (number | null)[];
  learning_rate: (number | null)[] | null;
  /** The share of the variation of the run that the plane captures. */
  captured: number | null;
  labels: string[];
}

/** Named points of the plane, (alpha, beta) each. */
export type Marks = Record<string, Range>;

/** Points that are drawn from some of the samples until all were used: from how many, and how exact they are, by quantity. */
export interface Sketch {
  n: number;
  n_samples: number;
  /** The median of the standard errors. */
  stderr: Record<string, number>;
}

/** The JSON beside a frame. It describes what the frame shows, which may lag behind the controls. */
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
  /** The frame holds the surfaces of all these seeds, one after the other. */
  seeds?: number[];
  marks?: Marks;
  /** It may take less than `remaining_s`: a tolerance may be met before. */
  at_most?: boolean;
  sketch?: Sketch;
}

/** The traits a person may change, here or in Python. */
export interface Controls {
  alpha: Range;
  beta: Range;
  seed: number;
  resolution: [nAlpha: number, nBeta: number];
  view: ViewName;
  scale: ScaleName;
  quantity: string;
  /** The layer that colors the picture; null is the quantity itself. */
  color: string | null;
  colormap: ColormapName;
  /** Values above are not drawn. */
  clip: number | null;
  levels: Levels;
  /** The ends of the height (and of its color) scale; null takes them from the values. */
  limits: Range | null;
  /** The ends of the scale of a layer that only colors; null takes them from the values, or the paper's for convexity. */
  color_limits: Range | null;
  camera: CameraState | Record<string, never>;
  show_contours: boolean;
  show_points: boolean;
  show_marks: boolean;
  show_path: boolean;
  show_drop_lines: boolean;
  show_labels: boolean;
  show_slices: boolean;
  show_panel: boolean;
}

export const DEFAULTS: Controls = {
  alpha: [-1, 1],
  beta: [-1, 1],
  seed: 0,
  resolution: [51, 51],
  view: "surface",
  scale: "linear",
  quantity: "loss",
  color: null,
  colormap: "viridis",
  clip: null,
  levels: "auto",
  limits: null,
  color_limits: null,
  camera: {},
  show_contours: true,
  show_points: false,
  show_marks: true,
  show_path: true,
  show_drop_lines: true,
  show_labels: true,
  show_slices: true,
  show_panel: true,
};

/** What landscapes that are compared have in common; ranges, seed and resolution stay each one's own. */
export const SHARED = [
  "view",
  "scale",
  "quantity",
  "color",
  "colormap",
  "clip",
  "levels",
  "limits",
  "color_limits",
  "camera",
  "show_contours",
  "show_points",
  "show_marks",
  "show_path",
  "show_drop_lines",
  "show_labels",
  "show_slices",
  "show_panel",
] as const satisfies readonly (keyof Controls)[];

export type Command =
  | { type: "pause" }
  | { type: "resume" }
  | { type: "stop" }
  | { type: "pull" }
  | { type: "probe"; alpha: number; beta: number };

/** A decoded frame: one array a layer, row = beta, column = alpha. */
export interface Snapshot {
  nAlpha: number;
  nBeta: number;
  layers: Map<string, Float32Array>;
  /** The layers of each seed, where there are several. */
  runs?: Map<string, Float32Array>[];
}

const STATUSES: readonly string[] = ["running", "paused", "stopped", "done", "error"];

const isRange = (value: unknown): value is Range =>
  Array.isArray(value) && value.length === 2 && value.every((v) => Number.isFinite(v));

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1;

/** Returns the meta if it is one this viewer can read, else null (an empty object before the first frame). */
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
 * Splits the bytes of a frame into its layers: float32 little-endian, C order, shape (n_layers, n_beta, n_alpha), as many
 * times as there are seeds.
 * Returns null when there is no frame yet or its length does not belong to this meta.
 */
export function decodeFrame(frame: DataView | null, meta: Meta): Snapshot | null {
  const [nBeta, nAlpha] = meta.shape;
  const size = nBeta * nAlpha;
  const nLayers = meta.layers.length;
  const nRuns = meta.seeds?.length ?? 1;
  if (!frame || frame.byteLength === 0 || frame.byteLength !== 4 * size * nLayers * nRuns) return null;
  // A host need not align the buffer to four bytes; a copy always is.
  const aligned = frame.byteOffset % 4 === 0;
  const buffer = aligned ? frame.buffer : frame.buffer.slice(frame.byteOffset, frame.byteOffset + frame.byteLength);
  const all = new Float32Array(buffer, aligned ? frame.byteOffset : 0, size * nLayers * nRuns);
  const runs = Array.from(
    { length: nRuns },
    (_, k) =>
      new Map(
        meta.layers.map((name, i) => [name, all.subarray((k * nLayers + i) * size, (k * nLayers + i + 1) * size)]),
      ),
  );
  return { nAlpha, nBeta, layers: runs[0], ...(meta.seeds ? { runs } : {}) };
}

const near = (a: Range, b: Range): boolean => {
  const width = Math.max(Math.abs(a[1] - a[0]), 1e-12);
  return Math.abs(a[0] - b[0]) <= 1e-6 * width && Math.abs(a[1] - b[1]) <= 1e-6 * width;
};

/** True when two metas describe frames of the same points and layers. */
export const isSamePlane = (a: Meta, b: Meta): boolean =>
  near(a.alpha, b.alpha) &&
  near(a.beta, b.beta) &&
  a.seed === b.seed &&
  `${a.shape} ${a.layers} ${a.seeds}` === `${b.shape} ${b.layers} ${b.seeds}`;

/** True when the picture belongs to an earlier choice of ranges, seed or resolution. */
export function isStale(meta: Meta, controls: Controls): boolean {
  return !(
    (meta.shape[1] === 1 || near(meta.alpha, controls.alpha)) && // one point of a wide range is its middle
    (meta.shape[0] === 1 || near(meta.beta, controls.beta)) &&
    (meta.seed === null || meta.seed === controls.seed) &&
    meta.shape[1] === controls.resolution[0] &&
    meta.shape[0] === controls.resolution[1]
  );
}
