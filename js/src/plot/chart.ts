// Curves in a frame: one axis below, a value axis on the left and, for a second quantity, one on the right.

import { at } from "../model/access.ts";
import { unit } from "../model/channel.ts";
import type { ScaleName } from "../model/controls.ts";
import { linearTicks, valueTicks } from "../model/ticks.ts";
import type { Range } from "../model/wire.ts";
import { drawText, fontOf, polyline, type Rectangle } from "./plot.ts";
import type { Theme } from "./theme.ts";

/** A value axis. lo and hi are in scaled units. */
export interface ValueAxis {
  lo: number;
  hi: number;
  scale: ScaleName;
  percent: boolean;
  /** True if there is no value; the axis then has no numbers. */
  empty?: boolean;
  name: string;
  /** Color of the numbers, if all curves of this axis have that color. */
  color?: string;
}

export type LineStyle = "solid" | "dashed" | "dotted";
const DASHES: Record<LineStyle, number[]> = { solid: [], dashed: [6, 4], dotted: [2, 3] };

/** Values in scaled units at evenly spaced places. NaN is a gap. */
export interface Series {
  name: string;
  side: "left" | "right";
  y: ArrayLike<number>;
  color: string;
  /** Training data solid, test data dashed. */
  style: LineStyle;
  /** Drawn pale behind the curve: the quartiles of several seeds, or the standard error. */
  band?: { low: ArrayLike<number>; high: ArrayLike<number> };
  /** Drawn thin behind the curve: every seed. */
  seeds?: ArrayLike<number>[];
  /** 1 for places with a dot: those that were evaluated. */
  dots?: ArrayLike<number>;
  width?: number;
}

export interface Chart {
  frame: Rectangle;
  x: Range;
  xName: string;
  left: ValueAxis;
  right?: ValueAxis;
  series: Series[];
  legend?: boolean;
  /** Text after the legend. */
  remark?: string;
  /** Small charts have fewer ticks, and the name of the value axis on top. */
  small?: boolean;
}

/** A margin keeps the extremes off the frame. */
export const chartY = (frame: Rectangle, axis: Pick<ValueAxis, "lo" | "hi">, z: number): number =>
  frame.y + frame.height * (1 - (0.06 + 0.88 * unit(axis, z)));

export const chartX = (frame: Rectangle, i: number, n: number): number =>
  frame.x + (frame.width * i) / Math.max(n - 1, 1);

/** Return the stretches of neighboring finite values. */
export function stretchesOf(y: ArrayLike<number>): [from: number, to: number][] {
  const stretches: [number, number][] = [];
  for (let i = 0; i < y.length; i++) {
    if (Number.isNaN(y[i])) continue;
    const last = stretches[stretches.length - 1];
    if (last && last[1] === i - 1) last[1] = i;
    else stretches.push([i, i]);
  }
  return stretches;
}

function drawGrid(ctx: CanvasRenderingContext2D, theme: Theme, chart: Chart): void {
  const {
    frame,
    x: [lo, hi],
    left,
    right,
    small,
  } = chart;
  const size = small ? 10 : 11;
  ctx.lineWidth = 1;
  for (const { at, label } of linearTicks(lo, hi, Math.max(2, Math.min(9, frame.width / 80)))) {
    const x = frame.x + (frame.width * (at - lo)) / (hi - lo);
    ctx.strokeStyle = theme.grid;
    polyline(ctx, [
      [x, frame.y],
      [x, frame.y + frame.height],
    ]);
    ctx.stroke();
    drawText(ctx, theme, label, x, frame.y + frame.height + (small ? 11 : 14), { size });
  }
  const count = Math.max(small ? 2 : 3, frame.height / (small ? 50 : 75));
  for (const axis of (right ? [left, right] : [left]).filter(({ empty }) => !empty)) {
    for (const { at, label } of valueTicks(axis.lo, axis.hi, axis.scale, count, axis.percent)) {
      const y = chartY(frame, axis, at);
      const color = axis.color ? { color: axis.color } : {};
      if (axis === right) {
        ctx.strokeStyle = theme.muted;
        polyline(ctx, [
          [frame.x + frame.width, y],
          [frame.x + frame.width + 4, y],
        ]);
        ctx.stroke();
        drawText(ctx, theme, label, frame.x + frame.width + 8, y, { align: "left", size, ...color });
        continue;
      }
      ctx.strokeStyle = theme.grid;
      polyline(ctx, [
        [frame.x, y],
        [frame.x + frame.width, y],
      ]);
      ctx.stroke();
      drawText(ctx, theme, label, frame.x - 6, y, { align: "right", size, ...color });
    }
  }
  ctx.strokeStyle = theme.muted;
  ctx.strokeRect(frame.x - 0.5, frame.y - 0.5, frame.width + 1, frame.height + 1);
}

function drawNames(ctx: CanvasRenderingContext2D, theme: Theme, { frame, xName, left, right, small }: Chart): void {
  const middle = frame.y + frame.height / 2;
  const named = (axis: ValueAxis): object => ({ weight: 600, ...(axis.color ? { color: axis.color } : {}) });
  drawText(ctx, theme, xName, frame.x + frame.width / 2, frame.y + frame.height + (small ? 26 : 33), {
    weight: 600,
    size: small ? 10.5 : 11,
  });
  if (small) {
    ctx.font = fontOf(theme, 10.5, 600);
    const size = Math.min(10.5, (10.5 * (frame.width + 6)) / ctx.measureText(left.name).width);
    drawText(ctx, theme, left.name, frame.x, frame.y - 9, { align: "left", ...named(left), size });
  }
  if (!small) drawText(ctx, theme, left.name, frame.x - 56, middle, { angle: -Math.PI / 2, ...named(left) });
  if (right)
    drawText(ctx, theme, right.name, frame.x + frame.width + 54, middle, { angle: Math.PI / 2, ...named(right) });
}

function drawSeries(ctx: CanvasRenderingContext2D, frame: Rectangle, axis: ValueAxis, s: Series): void {
  const n = s.y.length;
  const points = (y: ArrayLike<number>, [from, to]: [number, number]): [number, number][] =>
    Array.from({ length: to - from + 1 }, (_, k) => [chartX(frame, from + k, n), chartY(frame, axis, at(y, from + k))]);
  ctx.strokeStyle = s.color;
  ctx.fillStyle = s.color;
  if (s.band) {
    ctx.globalAlpha = 0.18;
    for (const stretch of stretchesOf(s.band.low)) {
      polyline(ctx, [...points(s.band.low, stretch), ...points(s.band.high, stretch).reverse()], true);
      ctx.fill();
    }
    ctx.globalAlpha = 1;
  }
  ctx.lineJoin = "round";
  ctx.lineWidth = 0.75;
  ctx.globalAlpha = 0.6;
  for (const y of s.seeds ?? []) {
    for (const stretch of stretchesOf(y)) {
      polyline(ctx, points(y, stretch));
      ctx.stroke();
    }
  }
  ctx.globalAlpha = 1;
  ctx.lineWidth = s.width ?? 2;
  ctx.setLineDash(DASHES[s.style]);
  for (const stretch of stretchesOf(s.y)) {
    polyline(ctx, points(s.y, stretch));
    ctx.stroke();
  }
  ctx.setLineDash([]);
  if (!s.dots || n > 120) return;
  for (let i = 0; i < n; i++) {
    const y = s.y[i] ?? NaN;
    if (Number.isNaN(y) || s.dots[i] === 0) continue;
    ctx.beginPath();
    ctx.arc(chartX(frame, i, n), chartY(frame, axis, y), 2.5, 0, 2 * Math.PI);
    ctx.fill();
  }
}

interface Entry {
  name: string;
  x: number;
  row: number;
  series: Series | null;
}

/** Place the names of the curves, in as many rows as they need. */
export function layOutLegend(
  ctx: CanvasRenderingContext2D,
  theme: Theme,
  series: Series[],
  width: number,
  remark = "",
): { entries: Entry[]; count: number } {
  ctx.font = fontOf(theme, 11);
  let [x, row] = [0, 0];
  const entries = [...series, ...(remark ? [null] : [])].map((s): Entry => {
    const name = s?.name ?? remark;
    const needed = ctx.measureText(name).width + (s ? 28 : 0);
    if (x > 0 && x + needed > width) [x, row] = [0, row + 1];
    const entry = { name, x, row, series: s };
    x += needed + 18;
    return entry;
  });
  return { entries, count: row + 1 };
}

export const LEGEND_ROW = 16;

function drawLegend(ctx: CanvasRenderingContext2D, theme: Theme, { frame, series, remark }: Chart): void {
  const { entries, count } = layOutLegend(ctx, theme, series, frame.width, remark);
  for (const { name, x, row, series: s } of entries) {
    const [at, y] = [frame.x + x, frame.y - 12 - LEGEND_ROW * (count - 1 - row)];
    if (s) {
      ctx.strokeStyle = s.color;
      ctx.lineWidth = 2;
      ctx.setLineDash(DASHES[s.style]);
      polyline(ctx, [
        [at, y],
        [at + 22, y],
      ]);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    drawText(ctx, theme, name, at + (s ? 28 : 0), y, { align: "left", ...(s ? {} : { color: theme.muted }) });
  }
}

/** Draw only the curves, into an existing frame. */
export function drawCurves(ctx: CanvasRenderingContext2D, { frame, left, right, series }: Chart): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(frame.x, frame.y, frame.width, frame.height);
  ctx.clip();
  for (const s of series) drawSeries(ctx, frame, s.side === "right" && right ? right : left, s);
  ctx.restore();
}

export function drawChart(ctx: CanvasRenderingContext2D, theme: Theme, chart: Chart): void {
  drawGrid(ctx, theme, chart);
  drawNames(ctx, theme, chart);
  drawCurves(ctx, chart);
  if (chart.legend) drawLegend(ctx, theme, chart);
}
