// The picture of a grid with a single row or column: loss and accuracy along the axis that varies, or a single point.

import { makeChannel, type Channel } from "./channel.ts";
import { chartX, chartY, drawChart, type Chart, type Series, type ValueAxis } from "./chart.ts";
import type { Field, GridPoint } from "./field.ts";
import { formatNumber, formatValue, isPercent, quantityName } from "./format.ts";
import { centerMark, drawText, hoverMark, polyline, type Plot, type Scene } from "./plot.ts";
import type { Theme } from "./theme.ts";
import type { Snapshot } from "./wire.ts";

const isAlongAlpha = (f: Field): boolean => f.nAlpha > 1;
const count = (f: Field): number => Math.max(f.nAlpha, f.nBeta);

/** Blue and orange of Okabe and Ito (2008), for color-blind eyes; lighter on dark ground. */
const inks = (theme: Theme): [string, string] => (theme.dark ? ["#56b4e9", "#e69f00"] : ["#0066a3", "#b34700"]);

/** What is drawn on the second axis: the layer that was chosen to color, else accuracy beside loss and loss beside accuracy. */
export function secondQuantity(snapshot: Snapshot, f: Field): string | null {
  if (f.color.quantity !== f.quantity) return f.color.quantity;
  const other = f.quantity === "loss" ? "accuracy" : f.quantity === "accuracy" ? "loss" : null;
  return other !== null && snapshot.layers.has(other) ? other : null;
}

const axisOf = (c: Channel, color: string): ValueAxis => ({
  lo: c.lo,
  hi: c.hi,
  scale: c.scale,
  percent: c.percent,
  name: quantityName(c.quantity),
  color,
});

/** The curve of a channel, with its standard error as a band where it is known. */
function seriesOf(c: Channel, side: "left" | "right", color: string, snapshot: Snapshot, evaluated: Float32Array): Series {
  const series: Series = { name: quantityName(c.quantity), side, y: c.z, color, style: "solid", dots: evaluated };
  const error = snapshot.layers.get(`${c.quantity}_stderr`);
  if (!error?.some((v) => v > 0)) return series;
  const at = (sign: number) => Float32Array.from(c.values, (v, i) => {
    const shifted = v + sign * (error[i] || 0);
    return c.scale === "linear" ? shifted : Math.log10(Math.max(shifted, 1e-30));
  });
  return { ...series, band: { low: at(-1), high: at(1) } };
}

function makeChart(scene: Scene): Chart {
  const { field: f, snapshot, theme, width, height } = scene;
  const [first, second] = inks(theme);
  const other = secondQuantity(snapshot, f);
  const along = isAlongAlpha(f);
  const fixed = along ? `beta = ${formatNumber(f.beta[0])}` : `alpha = ${formatNumber(f.alpha[0])}`;
  const room = { left: 74, right: other ? 74 : 22, top: 30, bottom: 50 };
  const chart: Chart = {
    frame: { x: room.left, y: room.top, width: Math.max(width - room.left - room.right, 40), height: Math.max(height - room.top - room.bottom, 40) },
    x: along ? f.alpha : f.beta,
    xName: `${along ? "alpha" : "beta"}   (one line: ${fixed})`,
    left: axisOf(f, first),
    series: [seriesOf(f, "left", first, snapshot, f.evaluated)],
    legend: true,
  };
  if (!other) return chart;
  const isColor = f.color.quantity === other;
  const channel = isColor ? f.color : makeChannel(other, snapshot.layers.get(other) as Float32Array, isPercent(other) ? "linear" : f.scale);
  return { ...chart, right: axisOf(channel, second), series: [...chart.series, seriesOf(channel, "right", second, snapshot, f.evaluated)] };
}

function drawSinglePoint(ctx: CanvasRenderingContext2D, { field: f, theme, width, height }: Scene): void {
  const where = `alpha = ${formatNumber(f.alpha[0])},  beta = ${formatNumber(f.beta[0])}`;
  drawText(ctx, theme, formatValue(f.values[0], f.quantity), width / 2, height / 2 - 8, { size: 40, weight: 600 });
  drawText(ctx, theme, `${quantityName(f.quantity)} at ${where}`, width / 2, height / 2 + 32, { size: 13 });
  drawText(ctx, theme, "One point: there is no surface to draw", width / 2, height / 2 + 56, { size: 12, color: theme.muted });
}

export function makeLinePlot(): Plot {
  let drawn: { chart: Chart; field: Field } | null = null;
  return {
    draw(ctx, scene) {
      const { field: f, theme, look } = scene;
      drawn = { chart: makeChart(scene), field: f };
      if (count(f) === 1) {
        drawSinglePoint(ctx, scene);
        return true;
      }
      const { frame, x: [lo, hi], left } = drawn.chart;
      drawChart(ctx, theme, drawn.chart);
      const other = isAlongAlpha(f) ? f.beta[0] : f.alpha[0];
      const i = Math.round((-lo / (hi - lo)) * (count(f) - 1));
      const known = look.show_marks && other === 0 && lo <= 0 && hi >= 0 && !Number.isNaN(f.z[i]);
      if (known) centerMark(ctx, chartX(frame, i, count(f)), chartY(frame, left, f.z[i]));
      return true;
    },
    pick(x) {
      if (!drawn) return null;
      const { chart: { frame }, field: f } = drawn;
      const n = count(f);
      const i = n === 1 ? 0 : Math.round(((x - frame.x) / frame.width) * (n - 1));
      if (i < 0 || i >= n) return null;
      return isAlongAlpha(f) ? { row: 0, column: i } : { row: i, column: 0 };
    },
    mark(ctx, point: GridPoint | null, { theme }) {
      if (!drawn || !point || count(drawn.field) === 1) return;
      const { frame, left, right, series } = drawn.chart;
      const i = Math.max(point.row, point.column);
      const x = chartX(frame, i, count(drawn.field));
      ctx.strokeStyle = theme.muted;
      ctx.setLineDash([3, 3]);
      polyline(ctx, [[x, frame.y], [x, frame.y + frame.height]]);
      ctx.stroke();
      ctx.setLineDash([]);
      for (const s of series) {
        if (!Number.isNaN(s.y[i])) hoverMark(ctx, x, chartY(frame, s.side === "right" && right ? right : left, s.y[i]));
      }
    },
    destroy() {},
  };
}
