// What the stage asks of a picture, and how pictures write text.

import type { Field, GridPoint } from "./field.ts";
import type { Theme } from "./theme.ts";

export interface Scene {
  field: Field;
  theme: Theme;
  /** RGBA color table. */
  table: Uint8Array;
  /** CSS pixels. */
  width: number;
  height: number;
  /** Device pixels a CSS pixel. */
  ratio: number;
}

export interface Plot {
  /** Draws everything; false when this kind of picture is not possible any more. */
  draw(ctx: CanvasRenderingContext2D, scene: Scene): boolean;
  /** The grid point under a screen point of the last drawn scene. */
  pick(x: number, y: number): GridPoint | null;
  /** Marks a grid point on the overlay. */
  mark(ctx: CanvasRenderingContext2D, point: GridPoint, scene: Scene): void;
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

export function drawText(ctx: CanvasRenderingContext2D, theme: Theme, text: string, x: number, y: number, o: TextOptions = {}): void {
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
  ctx.fillStyle = "#ffffff";
  ctx.fill();
  ctx.lineWidth = 1.75;
  ctx.strokeStyle = "#10121a";
  ctx.stroke();
  ctx.restore();
}

/** The sign of the point under the pointer: a ring, dark and light. */
export function hoverMark(ctx: CanvasRenderingContext2D, x: number, y: number): void {
  for (const [width, color] of [[4, "#10121a"], [1.75, "#ffffff"]] as const) {
    ctx.beginPath();
    ctx.arc(x, y, 5.5, 0, 2 * Math.PI);
    ctx.lineWidth = width;
    ctx.strokeStyle = color;
    ctx.stroke();
  }
}
