// The picture of a grid with a single row or column: the quantity along the axis that varies, or a single point.

import { unit, type Field, type GridPoint } from "./field.ts";
import { formatNumber, formatValue, quantityName } from "./format.ts";
import { centerMark, drawText, hoverMark, polyline, type Plot, type Scene } from "./plot.ts";
import { cssColor } from "./palette.ts";
import { linearTicks, valueTicks } from "./ticks.ts";

interface Frame {
  x: number;
  y: number;
  width: number;
  height: number;
}

const isAlongAlpha = (f: Field): boolean => f.nAlpha > 1;
const count = (f: Field): number => Math.max(f.nAlpha, f.nBeta);

/** The value range leaves a margin, so that the extremes do not lie on the frame. */
const toY = (frame: Frame, f: Field, z: number): number => frame.y + frame.height * (1 - (0.06 + 0.88 * unit(f, z)));
const toX = (frame: Frame, f: Field, i: number): number => frame.x + (frame.width * i) / Math.max(count(f) - 1, 1);

function drawFrame(ctx: CanvasRenderingContext2D, { field: f, theme }: Scene, frame: Frame): void {
  const [lo, hi] = isAlongAlpha(f) ? f.alpha : f.beta;
  ctx.lineWidth = 1;
  for (const { at, label } of linearTicks(lo, hi, Math.max(2, Math.min(9, frame.width / 80)))) {
    const x = frame.x + (frame.width * (at - lo)) / (hi - lo);
    ctx.strokeStyle = theme.grid;
    polyline(ctx, [[x, frame.y], [x, frame.y + frame.height]]);
    ctx.stroke();
    drawText(ctx, theme, label, x, frame.y + frame.height + 14);
  }
  for (const { at, label } of valueTicks(f.lo, f.hi, f.scale, Math.max(2, frame.height / 75), f.percent)) {
    const y = toY(frame, f, at);
    ctx.strokeStyle = theme.grid;
    polyline(ctx, [[frame.x, y], [frame.x + frame.width, y]]);
    ctx.stroke();
    drawText(ctx, theme, label, frame.x - 8, y, { align: "right" });
  }
  ctx.strokeStyle = theme.muted;
  ctx.strokeRect(frame.x - 0.5, frame.y - 0.5, frame.width + 1, frame.height + 1);
  const fixed = isAlongAlpha(f) ? `beta = ${formatNumber(f.beta[0])}` : `alpha = ${formatNumber(f.alpha[0])}`;
  const name = isAlongAlpha(f) ? "alpha" : "beta";
  drawText(ctx, theme, `${name}   (one line: ${fixed})`, frame.x + frame.width / 2, frame.y + frame.height + 33, { weight: 600 });
  drawText(ctx, theme, quantityName(f.quantity), frame.x - 58, frame.y + frame.height / 2, { weight: 600, angle: -Math.PI / 2 });
}

function drawCurve(ctx: CanvasRenderingContext2D, { field: f, theme, table }: Scene, frame: Frame): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(frame.x, frame.y, frame.width, frame.height);
  ctx.clip();
  ctx.lineWidth = 2;
  ctx.lineJoin = "round";
  ctx.strokeStyle = cssColor(table, theme.dark ? 0.72 : 0.3);
  ctx.beginPath();
  let down = false;
  for (let i = 0; i < count(f); i++) {
    const z = f.z[i];
    if (Number.isNaN(z)) down = false;
    else {
      const [x, y] = [toX(frame, f, i), toY(frame, f, z)];
      if (down) ctx.lineTo(x, y);
      else ctx.moveTo(x, y);
      down = true;
    }
  }
  ctx.stroke();
  ctx.fillStyle = ctx.strokeStyle;
  if (count(f) <= 120) {
    for (let i = 0; i < count(f); i++) {
      if (Number.isNaN(f.z[i]) || f.evaluated[i] === 0) continue;
      ctx.beginPath();
      ctx.arc(toX(frame, f, i), toY(frame, f, f.z[i]), 2.5, 0, 2 * Math.PI);
      ctx.fill();
    }
  }
  ctx.restore();
}

function drawSinglePoint(ctx: CanvasRenderingContext2D, { field: f, theme, width, height }: Scene): void {
  const where = `alpha = ${formatNumber(f.alpha[0])},  beta = ${formatNumber(f.beta[0])}`;
  drawText(ctx, theme, formatValue(f.values[0], f.quantity), width / 2, height / 2 - 8, { size: 40, weight: 600 });
  drawText(ctx, theme, `${quantityName(f.quantity)} at ${where}`, width / 2, height / 2 + 32, { size: 13 });
  drawText(ctx, theme, "One point: there is no surface to draw", width / 2, height / 2 + 56, { size: 12, color: theme.muted });
}

export function makeLinePlot(): Plot {
  let drawn: { frame: Frame; field: Field } | null = null;
  return {
    draw(ctx, scene) {
      const { field: f, width, height } = scene;
      const frame = { x: 74, y: 16, width: Math.max(width - 96, 40), height: Math.max(height - 66, 40) };
      drawn = { frame, field: f };
      if (count(f) === 1) {
        drawSinglePoint(ctx, scene);
        return true;
      }
      drawFrame(ctx, scene, frame);
      drawCurve(ctx, scene, frame);
      const [lo, hi] = isAlongAlpha(f) ? f.alpha : f.beta;
      const other = isAlongAlpha(f) ? f.beta[0] : f.alpha[0];
      const i = Math.round((-lo / (hi - lo)) * (count(f) - 1));
      if (other === 0 && lo <= 0 && hi >= 0 && !Number.isNaN(f.z[i])) centerMark(ctx, toX(frame, f, i), toY(frame, f, f.z[i]));
      return true;
    },
    pick(x) {
      if (!drawn) return null;
      const { frame, field: f } = drawn;
      const n = count(f);
      const i = n === 1 ? 0 : Math.round(((x - frame.x) / frame.width) * (n - 1));
      if (i < 0 || i >= n) return null;
      return isAlongAlpha(f) ? { row: 0, column: i } : { row: i, column: 0 };
    },
    mark(ctx, { row, column }: GridPoint, { theme }) {
      if (!drawn || count(drawn.field) === 1) return;
      const { frame, field: f } = drawn;
      const i = Math.max(row, column);
      const x = toX(frame, f, i);
      ctx.strokeStyle = theme.muted;
      ctx.setLineDash([3, 3]);
      polyline(ctx, [[x, frame.y], [x, frame.y + frame.height]]);
      ctx.stroke();
      ctx.setLineDash([]);
      if (!Number.isNaN(f.z[i])) hoverMark(ctx, x, toY(frame, f, f.z[i]));
    },
    destroy() {},
  };
}
