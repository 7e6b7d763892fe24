// The color bar: vertical on the right of wide pictures, horizontal below narrow ones.

import { type Channel, unit } from "../model/channel.ts";
import { quantityName } from "../model/format.ts";
import { TABLE_SIZE } from "../model/palette.ts";
import { valueTicks } from "../model/ticks.ts";
import { drawText, fontOf, type Scene } from "./plot.ts";

/** Return the room that the color bar takes from the picture, in CSS pixels. */
export const barRoom = (width: number): { right: number; bottom: number } =>
  width >= 520 ? { right: 84, bottom: 0 } : { right: 0, bottom: 46 };

function gradient(
  ctx: CanvasRenderingContext2D,
  table: Uint8Array,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
): CanvasGradient {
  const fill = ctx.createLinearGradient(x0, y0, x1, y1);
  for (let i = 0; i < TABLE_SIZE; i += 15) {
    fill.addColorStop(i / (TABLE_SIZE - 1), `rgb(${table[i * 4]},${table[i * 4 + 1]},${table[i * 4 + 2]})`);
  }
  return fill;
}

/** Place of a vertical bar. */
export interface BarPlace {
  x: number;
  y: number;
  length: number;
}

function drawVertical(
  ctx: CanvasRenderingContext2D,
  f: Channel,
  { theme, table, width }: Scene,
  { x, y, length }: BarPlace,
): void {
  // A veil under the bar: a zoomed picture may reach behind it.
  ctx.globalAlpha = 0.82;
  ctx.fillStyle = theme.background;
  ctx.fillRect(x - 8, y - 30, width - x + 8, length + 40);
  ctx.globalAlpha = 1;
  ctx.fillStyle = gradient(ctx, table, 0, y + length, 0, y);
  ctx.fillRect(x, y, 10, length);
  // A cut scale continues above: an arrow in place of an end.
  if (f.cut) {
    ctx.beginPath();
    ctx.moveTo(x, y - 2);
    ctx.lineTo(x + 5, y - 10);
    ctx.lineTo(x + 10, y - 2);
    ctx.fill();
  }
  const count = Math.max(2, Math.round(length / 48));
  ctx.strokeStyle = theme.muted;
  for (const tick of valueTicks(f.lo, f.hi, f.scale, count, f.percent)) {
    const ty = Math.round(y + length * (1 - unit(f, tick.at))) + 0.5;
    ctx.beginPath();
    ctx.moveTo(x + 10, ty);
    ctx.lineTo(x + 14, ty);
    ctx.stroke();
    drawText(ctx, theme, tick.label, x + 17, ty, { align: "left" });
  }
  const name = quantityName(f.quantity);
  ctx.font = fontOf(theme, 11, 600);
  drawText(ctx, theme, name, Math.min(x, width - 6 - ctx.measureText(name).width), y - 20, {
    align: "left",
    weight: 600,
  });
}

function drawHorizontal(ctx: CanvasRenderingContext2D, f: Channel, { theme, table, width, height }: Scene): void {
  const [x, length, y] = [18, width - 36, height - 26];
  ctx.fillStyle = gradient(ctx, table, x, 0, x + length, 0);
  ctx.fillRect(x, y, length, 8);
  ctx.strokeStyle = theme.muted;
  for (const tick of valueTicks(f.lo, f.hi, f.scale, Math.max(2, Math.round(length / 80)), f.percent)) {
    const tx = Math.round(x + length * unit(f, tick.at)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(tx, y + 8);
    ctx.lineTo(tx, y + 11);
    ctx.stroke();
    drawText(ctx, theme, tick.label, Math.max(x + 6, Math.min(x + length - 8, tx)), y + 18);
  }
  drawText(ctx, theme, quantityName(f.quantity), width / 2, y - 9, { weight: 600 });
}

/** Draw the color bar at the given place if the picture is wide enough, else along its lower edge. */
export function drawColorBar(ctx: CanvasRenderingContext2D, scene: Scene, place: BarPlace): void {
  if (scene.field.color.nFinite === 0) return; // no value, no scale
  ctx.lineWidth = 1;
  if (barRoom(scene.width).right > 0) drawVertical(ctx, scene.field.color, scene, place);
  else drawHorizontal(ctx, scene.field.color, scene);
}
