// Contour lines and their labels.

import { at } from "../model/access.ts";
import { unit, unscale } from "../model/channel.ts";
import type { Field } from "../model/field.ts";
import { formatNumber, tickLabels } from "../model/format.ts";
import { cssColor, inkOn } from "../model/palette.ts";
import type { Isoline } from "./isolines.ts";
import { fontOf, polyline, type Rectangle, type Scene } from "./plot.ts";

/** Label the levels: evenly spaced ones with the decimals of their step, others with their own. */
export function levelLabels(f: Pick<Field, "levels" | "scale" | "percent">): Map<number, string> {
  const scaled = f.levels.map((level) => unscale(level, f.scale) * (f.percent ? 100 : 1));
  const [first = 0, second = first] = scaled;
  const step = second - first;
  const even =
    f.scale === "linear" &&
    scaled.every((v, i) => i === 0 || Math.abs(v - at(scaled, i - 1) - step) < 1e-6 * Math.abs(step));
  const labels = even && scaled.length > 1 ? tickLabels(scaled) : scaled.map((v) => formatNumber(v, 3));
  // Levels 0.1, 0.6, 1.1 need one decimal more than their step of 0.5.
  const exact =
    even && scaled.some((v, i) => Math.abs(Number(at(labels, i).replace("−", "-")) - v) > 0.2 * Math.abs(step));
  return new Map(f.levels.map((level, i) => [level, exact ? formatNumber(at(scaled, i), 3) : at(labels, i)]));
}

interface Label {
  text: string;
  x: number;
  y: number;
  angle: number;
  radius: number;
}

/** Place one label per line, near its middle, unless the line is short or another label is near. */
function placeLabel(
  ctx: CanvasRenderingContext2D,
  points: [number, number][],
  text: string,
  frame: Rectangle,
  placed: Label[],
): Label | null {
  const radius = ctx.measureText(text).width / 2 + 5;
  let length = 0;
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [at(points, i - 1), at(points, i)];
    length += Math.hypot(to[0] - from[0], to[1] - from[1]);
  }
  if (length < radius * 5) return null;
  for (const share of [0.5, 0.35, 0.65, 0.2, 0.8]) {
    const i = Math.round(share * (points.length - 1));
    const reach = Math.max(1, Math.round((radius / length) * points.length));
    const [a, b] = [at(points, Math.max(0, i - reach)), at(points, Math.min(points.length - 1, i + reach))];
    const [x, y] = at(points, i);
    const inside =
      Math.min(x - frame.x, frame.x + frame.width - x) > radius &&
      Math.min(y - frame.y, frame.y + frame.height - y) > radius;
    if (!inside || placed.some((p) => Math.hypot(p.x - x, p.y - y) < p.radius + radius + 8)) continue;
    const slant = Math.atan2(b[1] - a[1], b[0] - a[0]);
    const angle = Math.abs(slant) > Math.PI / 2 ? slant - Math.sign(slant) * Math.PI : slant;
    return { text, x, y, angle, radius };
  }
  return null;
}

/** Draw lines given in grid coordinates; `toScreen` places them. */
export function drawContours(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  frame: Rectangle,
  lines: Isoline[],
  toScreen: (point: [number, number]) => [number, number],
): void {
  const { field: f, theme, table } = scene;
  const labels = levelLabels(f);
  const placed: Label[] = [];
  const ownColor = f.color.quantity === f.quantity;
  ctx.font = fontOf(theme, 10.5, 600);
  ctx.lineJoin = "round";
  for (const { level, points } of lines) {
    const t = unit(f, level);
    // Over the colors of another layer the ink cannot depend on the level: dark ink with a light halo is visible on
    // all.
    const ink = ownColor ? inkOn(table, t) : "#10121a";
    const screen = points.map(toScreen);
    ctx.lineWidth = 1;
    ctx.globalAlpha = 0.6;
    ctx.strokeStyle = ink;
    polyline(ctx, screen);
    ctx.stroke();
    ctx.globalAlpha = 1;
    const label = placeLabel(ctx, screen, labels.get(level) ?? "", frame, placed);
    if (!label) continue;
    placed.push(label);
    ctx.save();
    ctx.translate(label.x, label.y);
    ctx.rotate(label.angle);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    // The halo has the color of the map at this level, so that it looks like a gap in the line.
    ctx.lineWidth = ownColor ? 5 : 3;
    ctx.strokeStyle = ownColor ? cssColor(table, t) : "#ffffff";
    ctx.strokeText(label.text, 0, 0);
    ctx.fillStyle = ink;
    ctx.fillText(label.text, 0, 0);
    ctx.restore();
  }
}
