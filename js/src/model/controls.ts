// The options that a person may change, in the viewer or in Python. Each is a trait of the widget.

import { isSameRange, type Meta, type Range } from "./wire.ts";

/** The options with a few values to choose from. */
export const CHOICES = {
  view: ["surface", "contour"],
  scale: ["linear", "log"],
  colormap: ["viridis", "cividis", "magma", "gray"],
} as const;

export type ViewName = (typeof CHOICES.view)[number];
export type ScaleName = (typeof CHOICES.scale)[number];
export type ColormapName = (typeof CHOICES.colormap)[number];
export type Levels = "auto" | "paper" | number[];

/**
 * The viewpoint of the 3D picture: angles in radians, pan in shares of the picture. An empty object is the default
 * view.
 */
export interface CameraState {
  azimuth: number;
  elevation: number;
  zoom: number;
  pan: [number, number];
}

/** The options of the style, which compared landscapes share. A test compares them with the table of Python. */
export interface Style {
  view: ViewName;
  scale: ScaleName;
  quantity: string;
  /** The layer that colors the picture; null means the quantity itself. */
  color: string | null;
  colormap: ColormapName;
  /** Upper end of the height scale, above which nothing is drawn. */
  clip: number | null;
  levels: Levels;
  /** Ends of the height scale, and of its colors; null takes them from the values. */
  limits: Range | null;
  /** Ends of the color scale of another layer; null takes them from the values, or from the paper for convexity. */
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

/** The defaults of the style. */
export const STYLE: Style = {
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

/** All options: each landscape has its own ranges, seed and resolution. */
export interface Controls extends Style {
  alpha: Range;
  beta: Range;
  seed: number;
  resolution: [nAlpha: number, nBeta: number];
}

export const DEFAULTS: Controls = { ...STYLE, alpha: [-1, 1], beta: [-1, 1], seed: 0, resolution: [51, 51] };

/** The overlays that a person may turn on and off. */
export const OVERLAYS = [
  "show_contours",
  "show_points",
  "show_marks",
  "show_path",
  "show_drop_lines",
  "show_labels",
  "show_slices",
] as const;
export type Overlays = Pick<Style, (typeof OVERLAYS)[number]>;

/** True if the picture belongs to earlier ranges, or to an earlier seed or resolution. */
export function isStale(meta: Meta, controls: Controls): boolean {
  // A single point lies in the middle of its range.
  const alpha = meta.shape[1] === 1 || isSameRange(meta.alpha, controls.alpha);
  const beta = meta.shape[0] === 1 || isSameRange(meta.beta, controls.beta);
  const seed = meta.seed === null || meta.seed === controls.seed;
  const resolution = meta.shape[1] === controls.resolution[0] && meta.shape[0] === controls.resolution[1];
  return !(alpha && beta && seed && resolution);
}
