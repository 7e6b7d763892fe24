// What the stage asks of a picture, and how pictures write text.

import type { Field, GridPoint } from "../model/field.ts";
import type { Path } from "../model/path.ts";
import type { Controls, Marks, Snapshot } from "../model/wire.ts";
import type { Theme } from "./theme.ts";

/** The overlays a person may turn on and off. */
export const OVERLAYS = [
  "show_contours",
  "show_points",
  "show_marks",
  "show_path",
  "show_drop_lines",
  "show_labels",
  "show_slices",
] as const;
export type Look = Pick<Controls, (typeof OVERLAYS)[number]>;

/** Dark and light of all signs: one of them can be seen on every color. */
export const INK = "#10121a";
export const PAPER = "#ffffff";

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Scene {
  field: Field;
  snapshot: Snapshot;
  look: Look;
  /** The training path, unless it is hidden. */
  path: Path | null;
  /** Named points of the plane. */
  marks: Marks;
  theme: Theme;
  /** RGBA color table. */
  table: Uint8Array;
  /** CSS pixels. */
  width: number;
  height: number;
  /** Device pixels a CSS pixel. */
  ratio: number;
  /** True for a picture that is kept: it is not drawn in a hurry, and says itself what the page says beside it. */
  kept?: boolean;
}

export interface Plot {
  /** Draws everything; false when this kind of picture is not possible any more. */
  draw(ctx: CanvasRenderingContext2D, scene: Scene): boolean;
  /** The grid point under a screen point of the last drawn scene. */
  pick(x: number, y: number): GridPoint | null;
  /** Draws the overlay: the marked grid point, and whatever is there without one. */
  mark(ctx: CanvasRenderingContext2D, point: GridPoint | null, scene: Scene): void;
  /** True while the picture is on its way to what it shows: draw again. */
  moving?(): boolean;
  /** True when it was drawn in a hurry: draw again once there is time. */
  rough?(): boolean;
  destroy(): void;
}

export const fontOf = (theme: Theme, size = 11, weight = 400): string => `${weight} ${size}px ${theme.font}`;

export interface TextOptions {
  align?: CanvasTextAlign;
  baseline?: CanvasTextBaseline;
  color?: string;
  size?: number;
  weight?: number;
  angle?: number;
}

export function drawText(
  ctx: CanvasRenderingContext2D,
  theme: Theme,
  text: string,
  x: number,
  y: number,
  o: TextOptions = {},
): void {
  ctx.save();
  ctx.translate(x, y);
  if (o.angle) ctx.rotate(o.angle);
  ctx.font = fontOf(theme, o.size, o.weight);
  ctx.textAlign = o.align ?? "center";
  ctx.textBaseline = o.baseline ?? "middle";
  ctx.fillStyle = o.color ?? theme.text;
  ctx.fillText(text, 0, 0);
  ctx.restore();
}

export function polyline(ctx: CanvasRenderingContext2D, points: readonly (readonly number[])[], close = false): void {
  ctx.beginPath();
  points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  if (close) ctx.closePath();
}

/** The sign of the trained model: a white disc with a dark rim, legible on every color. */
export function centerMark(ctx: CanvasRenderingContext2D, x: number, y: number, opacity = 1): void {
  ctx.save();
  ctx.globalAlpha = opacity;
  ctx.beginPath();
  ctx.arc(x, y, 4, 0, 2 * Math.PI);
  ctx.fillStyle = PAPER;
  ctx.fill();
  ctx.lineWidth = 1.75;
  ctx.strokeStyle = INK;
  ctx.stroke();
  ctx.restore();
}

/** The sign of the lowest grid point: a cross, dark and light. */
export function lowestMark(ctx: CanvasRenderingContext2D, x: number, y: number, opacity = 1): void {
  ctx.save();
  ctx.globalAlpha = opacity;
  for (const [width, color] of [
    [4.5, INK],
    [2, PAPER],
  ] as const) {
    ctx.lineWidth = width;
    ctx.strokeStyle = color;
    for (const slope of [-1, 1]) {
      polyline(ctx, [
        [x - 4, y - 4 * slope],
        [x + 4, y + 4 * slope],
      ]);
      ctx.stroke();
    }
  }
  ctx.restore();
}

/** The sign of the point under the pointer: a ring, dark and light. */
export function hoverMark(ctx: CanvasRenderingContext2D, x: number, y: number): void {
  for (const [width, color] of [
    [4, INK],
    [1.75, PAPER],
  ] as const) {
    ctx.beginPath();
    ctx.arc(x, y, 5.5, 0, 2 * Math.PI);
    ctx.lineWidth = width;
    ctx.strokeStyle = color;
    ctx.stroke();
  }
}
