// The two curves through a grid point, beside the contour map.

import { valueAt } from "../model/access.ts";
import { alphaAt, betaAt, type Field, type GridPoint, locate } from "../model/field.ts";
import { formatNumber, shortName } from "../model/format.ts";
import { type Chart, chartX, drawChart } from "./chart.ts";
import { polyline, type Rectangle, type Scene } from "./plot.ts";

/** Return the values along alpha through a row, or along beta through a column. */
export const sliceOf = (f: Field, along: "alpha" | "beta", { row, column }: GridPoint): Float32Array =>
  along === "alpha"
    ? f.z.subarray(row * f.nAlpha, (row + 1) * f.nAlpha)
    : Float32Array.from({ length: f.nBeta }, (_, r) => valueAt(f.z, r * f.nAlpha + column));

/** Return the point of the slices while there is no cursor: the grid point nearest to the center, or the middle. */
export function slicePoint(f: Field): GridPoint {
  const center = locate(f, 0, 0) ?? { column: (f.nAlpha - 1) / 2, row: (f.nBeta - 1) / 2 };
  return { column: Math.round(center.column), row: Math.round(center.row) };
}

/** Draw both slices into a rectangle, one above the other. */
export function drawSlices(
  ctx: CanvasRenderingContext2D,
  { field: f, theme }: Scene,
  area: Rectangle,
  point: GridPoint,
): void {
  const height = (area.height - 78) / 2;
  const dots = {
    alpha: sliceOf({ ...f, z: f.evaluated }, "alpha", point),
    beta: sliceOf({ ...f, z: f.evaluated }, "beta", point),
  };
  (["alpha", "beta"] as const).forEach((along, k) => {
    const frame = { x: area.x + 44, y: area.y + 14 + k * (height + 56), width: area.width - 52, height };
    const fixed =
      along === "alpha"
        ? `beta = ${formatNumber(betaAt(f, point.row), 3)}`
        : `alpha = ${formatNumber(alphaAt(f, point.column), 3)}`;
    const y = sliceOf(f, along, point);
    const chart: Chart = {
      frame,
      x: along === "alpha" ? f.alpha : f.beta,
      xName: along,
      left: {
        lo: f.lo,
        hi: f.hi,
        scale: f.scale,
        percent: f.percent,
        empty: f.nFinite === 0,
        name: `${shortName(f.quantity)} at ${fixed}`,
      },
      series: [
        {
          name: along,
          side: "left",
          y,
          color: theme.accent,
          style: "solid",
          width: 1.75,
          ...(y.length <= 31 ? { dots: dots[along] } : {}),
        },
      ],
      small: true,
    };
    drawChart(ctx, theme, chart);
    const x = chartX(frame, along === "alpha" ? point.column : point.row, y.length);
    ctx.strokeStyle = theme.muted;
    ctx.lineWidth = 1;
    ctx.setLineDash([3, 3]);
    polyline(ctx, [
      [x, frame.y],
      [x, frame.y + frame.height],
    ]);
    ctx.stroke();
    ctx.setLineDash([]);
  });
}
