// The picture of a grid with a single row or column: loss and accuracy along the other axis, or a single point.

import { at, layerOf, valueAt } from "../model/access.ts";
import { type Channel, scaleValue } from "../model/channel.ts";
import { type Field, type GridPoint, interpolate, locate } from "../model/field.ts";
import { formatNumber, formatValue, quantityName } from "../model/format.ts";
import { parseLayerName, siblings } from "../model/layerNames.ts";
import { bandOfSeeds, MOST_SEEDS, seedsText } from "../model/seeds.ts";
import type { Snapshot } from "../model/wire.ts";
import {
  type Chart,
  chartX,
  chartY,
  drawChart,
  LEGEND_ROW,
  layOutLegend,
  type Series,
  type ValueAxis,
} from "./chart.ts";
import { centerMark, cursorMark, drawText, type Plot, polyline, type Scene } from "./plot.ts";
import { drawPointLabels, type PointLabel } from "./pointLabels.ts";
import type { Theme } from "./theme.ts";

const isAlongAlpha = (f: Field): boolean => f.nAlpha > 1;
const NARROW = 460;
const count = (f: Field): number => Math.max(f.nAlpha, f.nBeta);

/** Blue and orange of Okabe and Ito (2008), distinct for color-blind people; lighter on a dark background. */
const inks = (theme: Theme): [string, string] => (theme.dark ? ["#56b4e9", "#e69f00"] : ["#0066a3", "#b34700"]);

const axisOf = (c: Channel, color: string, several: boolean): ValueAxis => ({
  lo: c.lo,
  hi: c.hi,
  scale: c.scale,
  percent: c.percent,
  empty: c.nFinite === 0,
  name: quantityName(several ? parseLayerName(c.quantity).base : c.quantity),
  color,
});

const LINE_STYLES = ["solid", "dashed", "dotted"] as const;

/**
 * Return the curves of one axis, one per loader: median and quartiles of several seeds, else the values and their standard
 * error.
 */
function curvesOf(
  c: Channel,
  side: "left" | "right",
  color: string,
  snapshot: Snapshot,
  evaluated: Float32Array,
): Series[] {
  const scaled = (values: Float32Array): Float32Array => values.map((v) => scaleValue(v, c.scale));
  return siblings(snapshot, c.quantity).map((name, i): Series => {
    const values = layerOf(snapshot.layers, name);
    const series: Series = {
      name: quantityName(name),
      side,
      y: scaled(values),
      color,
      style: at(LINE_STYLES, Math.min(i, 2)),
    };
    if (snapshot.seeds) {
      const seeds = snapshot.seeds.map((layers) => layerOf(layers, name));
      const { low, high } = bandOfSeeds(seeds);
      const every = seeds.length <= MOST_SEEDS ? { seeds: seeds.map(scaled) } : {};
      return { ...series, band: { low: scaled(low), high: scaled(high) }, ...every };
    }
    const error = snapshot.layers.get(`${name}_stderr`);
    if (!error?.some((v) => v > 0)) return { ...series, dots: evaluated };
    const shifted = (sign: number) =>
      Float32Array.from(values, (v, k) => {
        const end = v + sign * (error[k] || 0);
        return c.scale === "linear" ? end : Math.log10(Math.max(end, 1e-30));
      });
    return { ...series, dots: evaluated, band: { low: shifted(-1), high: shifted(1) } };
  });
}

/** Return the curves of a line and their axes. */
export function makeChart(ctx: CanvasRenderingContext2D, scene: Scene): Chart {
  const { field: f, snapshot, theme, width, height } = scene;
  const [first, second] = inks(theme);
  const channel = f.second;
  const along = isAlongAlpha(f);
  const fixed = along ? f.beta[0] : f.alpha[0];
  const left = curvesOf(f, "left", first, snapshot, f.evaluated);
  const series = channel ? [...left, ...curvesOf(channel, "right", second, snapshot, f.evaluated)] : left;
  const remark = snapshot.seeds ? seedsText(snapshot.seeds.length) : "";
  // In a narrow picture the legend names the axes.
  const narrow = width < NARROW;
  const side = narrow ? 46 : 74;
  const room = { left: side, right: channel ? side : 22, bottom: 50 };
  const inner = Math.max(width - room.left - room.right, 40);
  const top = 14 + LEGEND_ROW * layOutLegend(ctx, theme, series, inner, remark).count;
  const several = left.length > 1;
  const named = (axis: ValueAxis): ValueAxis => (narrow ? { ...axis, name: "" } : axis);
  return {
    frame: { x: room.left, y: top, width: inner, height: Math.max(height - top - room.bottom, 40) },
    x: along ? f.alpha : f.beta,
    xName:
      (along ? "alpha" : "beta") + (fixed === 0 ? "" : `   (at ${along ? "beta" : "alpha"} = ${formatNumber(fixed)})`),
    left: named(axisOf(f, first, several)),
    ...(channel ? { right: named(axisOf(channel, second, several)) } : {}),
    series,
    legend: true,
    remark,
  };
}

function drawSinglePoint(ctx: CanvasRenderingContext2D, { field: f, theme, width, height }: Scene): void {
  const where = `alpha = ${formatNumber(f.alpha[0])},  beta = ${formatNumber(f.beta[0])}`;
  drawText(ctx, theme, formatValue(at(f.values, 0), f.quantity), width / 2, height / 2 - 8, { size: 40, weight: 600 });
  drawText(ctx, theme, `${quantityName(f.quantity)} at ${where}`, width / 2, height / 2 + 32, { size: 13 });
  drawText(ctx, theme, "One point: there is no surface to draw", width / 2, height / 2 + 56, {
    size: 12,
    color: theme.muted,
  });
}

/** Mark the models on the line. */
function drawMarks(ctx: CanvasRenderingContext2D, scene: Scene, { frame, left }: Chart): void {
  const { field: f, overlays, marks } = scene;
  const labels = Object.entries(marks).flatMap(([text, coordinates]): PointLabel[] => {
    const at = locate(f, ...coordinates);
    const z = at ? interpolate(f, at.column, at.row) : NaN;
    if (!at || Number.isNaN(z)) return [];
    const [x, y] = [chartX(frame, Math.max(at.column, at.row), count(f)), chartY(frame, left, z)];
    centerMark(ctx, x, y);
    return [{ text, x, y, strong: true }];
  });
  if (overlays.show_labels) drawPointLabels(ctx, scene, labels, frame, []);
}

export function makeLinePlot(): Plot {
  let drawn: { chart: Chart; field: Field } | null = null;
  return {
    draw(ctx, scene) {
      const { field: f, theme, overlays } = scene;
      drawn = { chart: makeChart(ctx, scene), field: f };
      if (count(f) === 1) {
        drawSinglePoint(ctx, scene);
        return true;
      }
      const {
        frame,
        x: [lo, hi],
        left,
      } = drawn.chart;
      drawChart(ctx, theme, drawn.chart);
      const other = isAlongAlpha(f) ? f.beta[0] : f.alpha[0];
      const i = Math.round((-lo / (hi - lo)) * (count(f) - 1));
      const known = overlays.show_marks && other === 0 && lo <= 0 && hi >= 0 && !Number.isNaN(valueAt(f.z, i));
      if (known) centerMark(ctx, chartX(frame, i, count(f)), chartY(frame, left, valueAt(f.z, i)));
      if (overlays.show_marks) drawMarks(ctx, scene, drawn.chart);
      return true;
    },
    pick(x) {
      if (!drawn) return null;
      const {
        chart: { frame },
        field: f,
      } = drawn;
      const n = count(f);
      const i = n === 1 ? 0 : Math.round(((x - frame.x) / frame.width) * (n - 1));
      if (i < 0 || i >= n) return null;
      return isAlongAlpha(f) ? { row: 0, column: i } : { row: i, column: 0 };
    },
    drawCursor(ctx, point: GridPoint | null, { theme }) {
      if (!drawn || !point || count(drawn.field) === 1) return;
      const { frame, left, right, series } = drawn.chart;
      const i = Math.max(point.row, point.column);
      const x = chartX(frame, i, count(drawn.field));
      ctx.strokeStyle = theme.muted;
      ctx.setLineDash([3, 3]);
      polyline(ctx, [
        [x, frame.y],
        [x, frame.y + frame.height],
      ]);
      ctx.stroke();
      ctx.setLineDash([]);
      for (const s of series) {
        const y = s.y[i] ?? NaN;
        const axis = s.side === "right" && right ? right : left;
        if (!Number.isNaN(y)) cursorMark(ctx, x, chartY(frame, axis, y));
      }
    },
    destroy() {},
  };
}
