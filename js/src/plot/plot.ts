// The interface of the pictures, and the marks and text they all draw.

import type { Overlays } from "../model/controls.ts";
import type { Field, GridPoint } from "../model/field.ts";
import type { Path } from "../model/path.ts";
import type { Marks, Snapshot } from "../model/wire.ts";
import type { Theme } from "./theme.ts";

/** Dark and light of all marks: on every color one of them is visible. */
export const INK = "#10121a";
export const PAPER = "#ffffff";

/** x and y, in CSS pixels. */
export type Point2D = readonly [x: number, y: number, ...more: number[]];

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Scene {
  field: Field;
  snapshot: Snapshot;
  overlays: Overlays;
  /** The training path, if it is drawn. */
  path: Path | null;
  /** Named points of the plane. */
  marks: Marks;
  theme: Theme;
  /** RGBA color table. */
  table: Uint8Array;
  /** CSS pixels. */
  width: number;
  height: number;
  /** Device pixels per CSS pixel. */
  ratio: number;
  /** True for an exported picture: always drawn smooth, and with the messages that the page shows around it. */
  exported?: boolean;
}

export interface Plot {
  /** Draw everything; return false if this kind of picture is no longer possible. */
  draw(ctx: CanvasRenderingContext2D, scene: Scene): boolean;
  /** Return the grid point under a screen point of the last scene. */
  pick(x: number, y: number): GridPoint | null;
  /** Draw the overlay canvas: the cursor at a grid point, and what is shown without one. */
  drawCursor(ctx: CanvasRenderingContext2D, point: GridPoint | null, scene: Scene): void;
  /** True while the picture is animated: draw again. */
  moving?(): boolean;
  /** True if it was drawn without smooth edges: draw again once there is time. */
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

export function polyline(ctx: CanvasRenderingContext2D, points: readonly Point2D[], close = false): void {
  ctx.beginPath();
  points.forEach(([x, y], i) => {
    if (i) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
  });
  if (close) ctx.closePath();
}

/** Mark the trained model: a white disc with a dark rim, visible on every color. */
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

/** Mark the lowest grid point: a cross, dark and light. */
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

/** Mark the point under the pointer: a ring, dark and light. */
export function cursorMark(ctx: CanvasRenderingContext2D, x: number, y: number): void {
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
