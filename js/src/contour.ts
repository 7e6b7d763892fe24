// The contour picture: heat map, labelled lines, axes, crosshair. It needs no WebGL.

import { barRoom, drawColorBar } from "./colorbar.ts";
import { alphaAt, betaAt, locate, unit, type Field, type GridPoint } from "./field.ts";
import { tickLabels, formatNumber } from "./format.ts";
import { rasterize } from "./heatmap.ts";
import { isolines, type Isoline } from "./isolines.ts";
import { boxHalf } from "./mesh.ts";
import { cssColor, inkOn } from "./palette.ts";
import { centerMark, drawText, fontOf, hoverMark, polyline, type Plot, type Scene } from "./plot.ts";
import { linearTicks } from "./ticks.ts";

interface Frame {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The largest rectangle with the true ratio of the ranges (kept between 1:2 and 2:1) beside labels and color bar. */
function frameFor({ field, width, height }: Scene): Frame {
  const bar = barRoom(width);
  const room = { left: 60, right: bar.right + 24, top: bar.right ? 30 : 14, bottom: bar.bottom + 44 };
  const [w, h] = [Math.max(width - room.left - room.right, 40), Math.max(height - room.top - room.bottom, 40)];
  const [halfX, halfY] = boxHalf(field);
  const size = Math.min(w / halfX, h / halfY);
  const [fw, fh] = [size * halfX, size * halfY];
  return { x: room.left + (w - fw) / 2, y: room.top + (h - fh) / 2, width: fw, height: fh };
}

const toX = (frame: Frame, f: Field, column: number): number => frame.x + (frame.width * column) / (f.nAlpha - 1);
const toY = (frame: Frame, f: Field, row: number): number => frame.y + frame.height * (1 - row / (f.nBeta - 1));

function levelLabels(f: Field): Map<number, string> {
  const original = f.scale === "log" ? f.levels.map((v) => 10 ** v) : f.levels;
  const scaled = f.percent ? original.map((v) => v * 100) : original;
  const labels = f.scale === "log" ? scaled.map((v) => formatNumber(v, 3)) : tickLabels(scaled);
  return new Map(f.levels.map((level, i) => [level, labels[i]]));
}

interface Label {
  text: string;
  x: number;
  y: number;
  angle: number;
  radius: number;
}

/** One label a line, on its straightest stretch near the middle, unless the line is short or another label is near. */
function placeLabel(ctx: CanvasRenderingContext2D, points: number[][], text: string, frame: Frame, placed: Label[]): Label | null {
  const radius = ctx.measureText(text).width / 2 + 5;
  let length = 0;
  for (let i = 1; i < points.length; i++) length += Math.hypot(points[i][0] - points[i - 1][0], points[i][1] - points[i - 1][1]);
  if (length < radius * 5) return null;
  for (const share of [0.5, 0.35, 0.65, 0.2, 0.8]) {
    const i = Math.round(share * (points.length - 1));
    const reach = Math.max(1, Math.round((radius / length) * points.length));
    const [a, b] = [points[Math.max(0, i - reach)], points[Math.min(points.length - 1, i + reach)]];
    const [x, y] = points[i];
    const inside = Math.min(x - frame.x, frame.x + frame.width - x) > radius && Math.min(y - frame.y, frame.y + frame.height - y) > radius;
    if (!inside || placed.some((p) => Math.hypot(p.x - x, p.y - y) < p.radius + radius + 8)) continue;
    const slant = Math.atan2(b[1] - a[1], b[0] - a[0]);
    const angle = Math.abs(slant) > Math.PI / 2 ? slant - Math.sign(slant) * Math.PI : slant;
    return { text, x, y, angle, radius };
  }
  return null;
}

function drawLines(ctx: CanvasRenderingContext2D, scene: Scene, frame: Frame, lines: Isoline[]): void {
  const { field: f, theme, table } = scene;
  const labels = levelLabels(f);
  const placed: Label[] = [];
  ctx.font = fontOf(theme, 10.5, 600);
  ctx.lineJoin = "round";
  for (const { level, points } of lines) {
    const t = unit(f, level);
    const ink = inkOn(table, t);
    const screen = points.map(([column, row]) => [toX(frame, f, column), toY(frame, f, row)]);
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
    // The halo has the color of the map at this level, so that it reads as a gap in the line.
    ctx.lineWidth = 5;
    ctx.strokeStyle = cssColor(table, t);
    ctx.strokeText(label.text, 0, 0);
    ctx.fillStyle = ink;
    ctx.fillText(label.text, 0, 0);
    ctx.restore();
  }
}

/** Grid points without a finite value: hatched cells (results only; what is not computed yet stays empty). */
function drawHoles(ctx: CanvasRenderingContext2D, { field: f, theme }: Scene, frame: Frame): void {
  const [w, h] = [frame.width / (f.nAlpha - 1), frame.height / (f.nBeta - 1)];
  ctx.save();
  ctx.beginPath();
  ctx.rect(frame.x, frame.y, frame.width, frame.height);
  ctx.clip();
  const holes = new Path2D();
  let any = false;
  for (let i = 0; i < f.z.length; i++) {
    if (!Number.isNaN(f.z[i]) || f.evaluated[i] === 0) continue;
    any = true;
    holes.rect(toX(frame, f, i % f.nAlpha) - w / 2, toY(frame, f, Math.floor(i / f.nAlpha)) - h / 2, w, h);
  }
  if (any) {
    ctx.clip(holes);
    ctx.fillStyle = theme.background;
    ctx.fill(holes);
    ctx.strokeStyle = theme.muted;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (let d = -frame.height; d < frame.width; d += 6) {
      ctx.moveTo(frame.x + d, frame.y + frame.height);
      ctx.lineTo(frame.x + d + frame.height, frame.y);
    }
    ctx.stroke();
  }
  ctx.restore();
}

function drawFrame(ctx: CanvasRenderingContext2D, { field: f, theme }: Scene, frame: Frame): void {
  ctx.strokeStyle = theme.muted;
  ctx.lineWidth = 1;
  ctx.strokeRect(frame.x - 0.5, frame.y - 0.5, frame.width + 1, frame.height + 1);
  for (const { at, label } of linearTicks(f.alpha[0], f.alpha[1], Math.max(2, Math.min(9, frame.width / 70)))) {
    const x = frame.x + (frame.width * (at - f.alpha[0])) / (f.alpha[1] - f.alpha[0]);
    polyline(ctx, [[x, frame.y + frame.height], [x, frame.y + frame.height + 5]]);
    ctx.stroke();
    drawText(ctx, theme, label, x, frame.y + frame.height + 14);
  }
  for (const { at, label } of linearTicks(f.beta[0], f.beta[1], Math.max(2, Math.min(9, frame.height / 55)))) {
    const y = frame.y + frame.height * (1 - (at - f.beta[0]) / (f.beta[1] - f.beta[0]));
    polyline(ctx, [[frame.x - 5, y], [frame.x, y]]);
    ctx.stroke();
    drawText(ctx, theme, label, frame.x - 8, y, { align: "right" });
  }
  drawText(ctx, theme, "alpha", frame.x + frame.width / 2, frame.y + frame.height + 32, { weight: 600 });
  drawText(ctx, theme, "beta", frame.x - 48, frame.y + frame.height / 2, { weight: 600, angle: -Math.PI / 2 });
}

/** The map is computed at this many pixels a side at most, and stretched to the screen. */
const RASTER_LIMIT = 512;

export function makeContourPlot(): Plot {
  const raster = document.createElement("canvas");
  let cached: { field: Field; key: string; lines: Isoline[] } | null = null;
  let drawn: { frame: Frame; field: Field } | null = null;

  const prepare = (scene: Scene, frame: Frame): Isoline[] => {
    const { field, table, ratio } = scene;
    const [w, h] = [frame.width, frame.height].map((s) => Math.max(2, Math.min(RASTER_LIMIT, Math.round(s * ratio))));
    const key = `${w} ${h}`;
    if (cached?.field === field && cached.key === key) return cached.lines;
    raster.width = w;
    raster.height = h;
    raster.getContext("2d")?.putImageData(new ImageData(rasterize(field, w, h, table), w, h), 0, 0);
    cached = { field, key, lines: cached?.field === field ? cached.lines : isolines(field) };
    return cached.lines;
  };

  return {
    draw(ctx, scene) {
      const frame = frameFor(scene);
      const lines = prepare(scene, frame);
      drawn = { frame, field: scene.field };
      ctx.fillStyle = scene.theme.pane;
      ctx.fillRect(frame.x, frame.y, frame.width, frame.height);
      ctx.imageSmoothingEnabled = true;
      ctx.drawImage(raster, frame.x, frame.y, frame.width, frame.height);
      drawLines(ctx, scene, frame, lines);
      drawHoles(ctx, scene, frame);
      drawFrame(ctx, scene, frame);
      const center = locate(scene.field, 0, 0);
      if (center) centerMark(ctx, toX(frame, scene.field, center.column), toY(frame, scene.field, center.row));
      drawColorBar(ctx, scene, { x: frame.x + frame.width + 24, y: frame.y, length: frame.height });
      return true;
    },
    pick(x, y) {
      if (!drawn) return null;
      const { frame, field: f } = drawn;
      const [u, v] = [(x - frame.x) / frame.width, 1 - (y - frame.y) / frame.height];
      if (u < -0.01 || v < -0.01 || u > 1.01 || v > 1.01) return null;
      const clamp = (i: number, n: number): number => Math.max(0, Math.min(n - 1, Math.round(i * (n - 1))));
      return { column: clamp(u, f.nAlpha), row: clamp(v, f.nBeta) };
    },
    mark(ctx, point: GridPoint, { theme }) {
      if (!drawn) return;
      const { frame, field: f } = drawn;
      const [x, y] = [toX(frame, f, point.column), toY(frame, f, point.row)];
      for (const [width, color] of [[3, "rgba(16,18,26,0.55)"], [1, "#ffffff"]] as const) {
        ctx.lineWidth = width;
        ctx.strokeStyle = color;
        polyline(ctx, [[frame.x, y], [frame.x + frame.width, y]]);
        ctx.stroke();
        polyline(ctx, [[x, frame.y], [x, frame.y + frame.height]]);
        ctx.stroke();
      }
      hoverMark(ctx, x, y);
      const tag = (text: string, tx: number, ty: number): void => {
        ctx.font = fontOf(theme, 10.5, 600);
        const width = ctx.measureText(text).width + 8;
        ctx.fillStyle = theme.text;
        ctx.beginPath();
        ctx.roundRect(tx - width / 2, ty - 8, width, 16, 3);
        ctx.fill();
        drawText(ctx, theme, text, tx, ty + 0.5, { size: 10.5, weight: 600, color: theme.background });
      };
      tag(formatNumber(alphaAt(f, point.column), 3), x, frame.y + frame.height + 14);
      tag(formatNumber(betaAt(f, point.row), 3), frame.x - 22, y);
    },
    destroy() {
      cached = null;
    },
  };
}
