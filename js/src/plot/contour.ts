// The contour map: colors, labeled lines, axes, crosshair and slices. It does not need WebGL.

import { boxHalf } from "../gl/mesh.ts";
import { alphaAt, betaAt, type Field, type GridPoint, locate, lowest } from "../model/field.ts";
import { formatNumber } from "../model/format.ts";
import { messagesHeight } from "../model/messages.ts";
import { type Path, pointOf } from "../model/path.ts";
import { linearTicks } from "../model/ticks.ts";
import { barRoom, drawColorBar } from "./colorbar.ts";
import { drawContours } from "./contourLabels.ts";
import { rasterize } from "./heatmap.ts";
import { type Isoline, isolines } from "./isolines.ts";
import { checkpointAt, type DrawnPath, drawCaptured, drawPath, type Placing } from "./pathDrawing.ts";
import {
  centerMark,
  cursorMark,
  drawText,
  fontOf,
  INK,
  lowestMark,
  PAPER,
  type Plot,
  polyline,
  type Rectangle,
  type Scene,
} from "./plot.ts";
import { drawPointLabels, type PointLabel } from "./pointLabels.ts";
import { drawSlices, slicePoint } from "./slices.ts";
import type { Theme } from "./theme.ts";

interface Layout {
  frame: Rectangle;
  /** The slices beside the map; null in narrow pictures. */
  slices: Rectangle | null;
}

const SLICES_FROM = 700;

/**
 * Lay out the largest map in the ratio of the ranges (kept between 1:2 and 2:1), beside labels, color bar and slices.
 */
function layOut({ field, width, height, overlays, path }: Scene): Layout {
  const bar = barRoom(width);
  const beside = overlays.show_slices && width >= SLICES_FROM ? Math.max(210, Math.min(300, width * 0.28)) : 0;
  const room = {
    left: 60,
    right: bar.right + 24 + beside,
    top: messagesHeight(field, width, path) || (bar.right ? 30 : 14),
    bottom: bar.bottom + 44,
  };
  const [w, h] = [Math.max(width - room.left - room.right, 40), Math.max(height - room.top - room.bottom, 40)];
  const [halfX, halfY] = boxHalf(field);
  const size = Math.min(w / halfX, h / halfY);
  const [fw, fh] = [size * halfX, size * halfY];
  const frame = { x: room.left + (w - fw) / 2, y: room.top + (h - fh) / 2, width: fw, height: fh };
  return {
    frame,
    slices: beside ? { x: width - beside - 2, y: frame.y, width: beside, height: Math.max(fh, 240) } : null,
  };
}

const toX = (frame: Rectangle, f: Field, column: number): number => frame.x + (frame.width * column) / (f.nAlpha - 1);
const toY = (frame: Rectangle, f: Field, row: number): number => frame.y + frame.height * (1 - row / (f.nBeta - 1));

/** Hatch the cells of grid points that have no finite value; cells not computed yet stay empty. */
function drawHoles(ctx: CanvasRenderingContext2D, { field: f, theme }: Scene, frame: Rectangle): void {
  const [w, h] = [frame.width / (f.nAlpha - 1), frame.height / (f.nBeta - 1)];
  ctx.save();
  ctx.beginPath();
  ctx.rect(frame.x, frame.y, frame.width, frame.height);
  ctx.clip();
  ctx.beginPath();
  let any = false;
  for (let i = 0; i < f.z.length; i++) {
    if (!Number.isNaN(f.z[i]) || f.evaluated[i] === 0) continue;
    any = true;
    ctx.rect(toX(frame, f, i % f.nAlpha) - w / 2, toY(frame, f, Math.floor(i / f.nAlpha)) - h / 2, w, h);
  }
  if (any) {
    ctx.clip();
    ctx.fillStyle = theme.background;
    ctx.fillRect(frame.x, frame.y, frame.width, frame.height);
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

/** Draw grid points: dark dots if evaluated, small light ones if interpolated. */
function drawPoints(ctx: CanvasRenderingContext2D, f: Field, frame: Rectangle): void {
  const radius = Math.max(1.2, Math.min(3, (0.25 * frame.width) / f.nAlpha));
  for (const evaluated of [false, true]) {
    const r = evaluated ? radius : 0.5 * radius;
    ctx.beginPath();
    for (let i = 0; i < f.z.length; i++) {
      if (Number.isNaN(f.z[i]) || (f.evaluated[i] !== 0) !== evaluated) continue;
      const [x, y] = [toX(frame, f, i % f.nAlpha), toY(frame, f, Math.floor(i / f.nAlpha))];
      ctx.moveTo(x + r, y);
      ctx.arc(x, y, r, 0, 2 * Math.PI);
    }
    ctx.fillStyle = evaluated ? INK : PAPER;
    ctx.fill();
    ctx.lineWidth = 1;
    ctx.strokeStyle = PAPER;
    if (evaluated && radius > 1.5) ctx.stroke();
  }
}

/** Mark the center, the lowest point and named models; return the labels of the models. */
function drawMarks(ctx: CanvasRenderingContext2D, { field: f, marks }: Scene, frame: Rectangle): PointLabel[] {
  const [center, low] = [locate(f, 0, 0), lowest(f)];
  if (low && !(center && low.row === center.row && low.column === center.column))
    lowestMark(ctx, toX(frame, f, low.column), toY(frame, f, low.row));
  if (center) centerMark(ctx, toX(frame, f, center.column), toY(frame, f, center.row));
  return Object.entries(marks).flatMap(([text, at]): PointLabel[] => {
    const place = locate(f, ...at);
    if (!place) return [];
    const [x, y] = [toX(frame, f, place.column), toY(frame, f, place.row)];
    centerMark(ctx, x, y);
    return [{ text, x, y, strong: true }];
  });
}

/** Draw the path on the map, without heights and without checkpoints outside the map. */
function drawFlatPath(ctx: CanvasRenderingContext2D, scene: Scene, frame: Rectangle): DrawnPath {
  const { field: f, path } = scene;
  if (!path) return { places: [], labels: [] };
  const place: Placing = (column, row) =>
    Number.isNaN(column + row)
      ? null
      : { x: toX(frame, f, column), y: toY(frame, f, row), occluded: false, beyond: false };
  ctx.save();
  ctx.beginPath();
  ctx.rect(frame.x, frame.y, frame.width, frame.height);
  ctx.clip();
  const { places, labels } = drawPath(
    ctx,
    { ...scene, overlays: { ...scene.overlays, show_drop_lines: false } },
    path,
    place,
  );
  ctx.restore();
  const inside = ({ x, y }: { x: number; y: number }): boolean =>
    x >= frame.x && y >= frame.y && x <= frame.x + frame.width && y <= frame.y + frame.height;
  return { places: places.map((at) => (at && inside(at) ? at : null)), labels: labels.filter(inside) };
}

function drawFrame(ctx: CanvasRenderingContext2D, { field: f, theme }: Scene, frame: Rectangle): void {
  ctx.strokeStyle = theme.muted;
  ctx.lineWidth = 1;
  ctx.strokeRect(frame.x - 0.5, frame.y - 0.5, frame.width + 1, frame.height + 1);
  for (const { at, label } of linearTicks(f.alpha[0], f.alpha[1], Math.max(2, Math.min(9, frame.width / 70)))) {
    const x = frame.x + (frame.width * (at - f.alpha[0])) / (f.alpha[1] - f.alpha[0]);
    polyline(ctx, [
      [x, frame.y + frame.height],
      [x, frame.y + frame.height + 5],
    ]);
    ctx.stroke();
    drawText(ctx, theme, label, x, frame.y + frame.height + 14);
  }
  for (const { at, label } of linearTicks(f.beta[0], f.beta[1], Math.max(2, Math.min(9, frame.height / 55)))) {
    const y = frame.y + frame.height * (1 - (at - f.beta[0]) / (f.beta[1] - f.beta[0]));
    polyline(ctx, [
      [frame.x - 5, y],
      [frame.x, y],
    ]);
    ctx.stroke();
    drawText(ctx, theme, label, frame.x - 8, y, { align: "right" });
  }
  drawText(ctx, theme, "alpha", frame.x + frame.width / 2, frame.y + frame.height + 32, { weight: 600 });
  drawText(ctx, theme, "beta", frame.x - 48, frame.y + frame.height / 2, { weight: 600, angle: -Math.PI / 2 });
}

/** Draw the crosshair through a grid point, with its coordinates on the axes. */
function drawCrosshair(
  ctx: CanvasRenderingContext2D,
  f: Field,
  theme: Theme,
  frame: Rectangle,
  point: GridPoint,
): void {
  const [x, y] = [toX(frame, f, point.column), toY(frame, f, point.row)];
  for (const [width, color] of [
    [3, "rgba(16,18,26,0.55)"],
    [1, PAPER],
  ] as const) {
    ctx.lineWidth = width;
    ctx.strokeStyle = color;
    polyline(ctx, [
      [frame.x, y],
      [frame.x + frame.width, y],
    ]);
    ctx.stroke();
    polyline(ctx, [
      [x, frame.y],
      [x, frame.y + frame.height],
    ]);
    ctx.stroke();
  }
  cursorMark(ctx, x, y);
  const label = (text: string, tx: number, ty: number): void => {
    ctx.font = fontOf(theme, 10.5, 600);
    const width = ctx.measureText(text).width + 8;
    ctx.fillStyle = theme.text;
    ctx.beginPath();
    ctx.roundRect(tx - width / 2, ty - 8, width, 16, 3);
    ctx.fill();
    drawText(ctx, theme, text, tx, ty + 0.5, { size: 10.5, weight: 600, color: theme.background });
  };
  label(formatNumber(alphaAt(f, point.column), 3), x, frame.y + frame.height + 14);
  label(formatNumber(betaAt(f, point.row), 3), frame.x - 22, y);
}

/** The colors are computed for at most this many pixels per side, and stretched to the screen. */
const RASTER_LIMIT = 512;

export function makeContourPlot(): Plot {
  const raster = document.createElement("canvas");
  let cached: { field: Field; key: string; lines: Isoline[]; table: Uint8Array } | null = null;
  let drawn: { layout: Layout; field: Field; path: Path | null; places: DrawnPath["places"] } | null = null;

  const prepare = (scene: Scene, frame: Rectangle): Isoline[] => {
    const { field, table, ratio } = scene;
    const pixels = (size: number): number => Math.max(2, Math.min(RASTER_LIMIT, Math.round(size * ratio)));
    const [w, h] = [pixels(frame.width), pixels(frame.height)];
    const key = `${w} ${h}`;
    if (cached?.field === field && cached.key === key && cached.table === table) return cached.lines;
    raster.width = w;
    raster.height = h;
    const colored = { ...field.color, nAlpha: field.nAlpha, nBeta: field.nBeta };
    raster.getContext("2d")?.putImageData(new ImageData(rasterize(colored, w, h, table), w, h), 0, 0);
    cached = { field, key, table, lines: cached?.field === field ? cached.lines : isolines(field) };
    return cached.lines;
  };

  return {
    draw(ctx, scene) {
      const { field: f, overlays } = scene;
      const layout = layOut(scene);
      const { frame } = layout;
      const lines = prepare(scene, frame);
      ctx.fillStyle = scene.theme.pane;
      ctx.fillRect(frame.x, frame.y, frame.width, frame.height);
      ctx.imageSmoothingEnabled = true;
      ctx.drawImage(raster, frame.x, frame.y, frame.width, frame.height);
      if (overlays.show_contours)
        drawContours(ctx, scene, frame, lines, ([column, row]) => [toX(frame, f, column), toY(frame, f, row)]);
      drawHoles(ctx, scene, frame);
      if (overlays.show_points) drawPoints(ctx, f, frame);
      drawFrame(ctx, scene, frame);
      const { places, labels } = drawFlatPath(ctx, scene, frame);
      const names = overlays.show_marks ? drawMarks(ctx, scene, frame) : [];
      if (overlays.show_labels) drawPointLabels(ctx, scene, [...names, ...labels], frame, places);
      drawCaptured(ctx, scene, frame.x, frame.y - 12);
      drawn = { layout, field: f, path: scene.path, places };
      drawColorBar(ctx, scene, { x: frame.x + frame.width + 24, y: frame.y, length: frame.height });
      return true;
    },
    pick(x, y) {
      if (!drawn) return null;
      const {
        layout: { frame },
        field: f,
        path,
        places,
      } = drawn;
      const checkpoint = path && checkpointAt(places, x, y);
      if (path && checkpoint !== null) return pointOf(path, checkpoint, f);
      const [u, v] = [(x - frame.x) / frame.width, 1 - (y - frame.y) / frame.height];
      if (u < -0.01 || v < -0.01 || u > 1.01 || v > 1.01) return null;
      const clamp = (i: number, n: number): number => Math.max(0, Math.min(n - 1, Math.round(i * (n - 1))));
      return { column: clamp(u, f.nAlpha), row: clamp(v, f.nBeta) };
    },
    drawCursor(ctx, point, scene) {
      if (!drawn) return;
      const {
        layout: { frame, slices },
        field: f,
        places,
      } = drawn;
      const at = point?.checkpoint === undefined ? null : places[point.checkpoint];
      if (slices) drawSlices(ctx, scene, slices, point ?? slicePoint(f));
      if (at) cursorMark(ctx, at.x, at.y);
      else if (point) drawCrosshair(ctx, f, scene.theme, frame, point);
    },
    destroy() {
      cached = null;
    },
  };
}
