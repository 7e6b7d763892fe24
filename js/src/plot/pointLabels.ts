// Labels of points: each is placed so that it covers no other label and as few points as possible, or is left out.

import { at } from "../model/access.ts";
import { fontOf, type Scene } from "./plot.ts";

export interface PointLabel {
  text: string;
  /** The labeled point. */
  x: number;
  y: number;
  /** True for models, false for checkpoints. */
  strong?: boolean;
}

interface Point {
  x: number;
  y: number;
}

interface Box extends Point {
  width: number;
  height: number;
}

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width + 2 && b.x < a.x + a.width + 2 && a.y < b.y + b.height + 2 && b.y < a.y + a.height + 2;
const covers = (b: Box, { x, y }: Point): boolean =>
  x > b.x - 3 && x < b.x + b.width + 3 && y > b.y - 3 && y < b.y + b.height + 3;

/** Return a box for every label, null for those without room. Widths and the points to keep free are on the screen. */
export function placePointLabels(
  labels: PointLabel[],
  widths: number[],
  area: Box,
  points: readonly (Point | null)[],
): (Box | null)[] {
  const placed: Box[] = [];
  return labels.map(({ x, y }, i) => {
    const [width, height] = [at(widths, i) + 10, 16];
    let best: Box | null = null;
    let fewest = Infinity;
    for (const gap of [9, 16]) {
      for (const [dx, dy] of [
        [1, -0.7],
        [-1, -0.7],
        [1, 0.7],
        [-1, 0.7],
        [0, -1.3],
        [0, 1.3],
        [1, 0],
        [-1, 0],
      ] as const) {
        const box = {
          x: x + dx * gap - (dx < 0 ? width : dx === 0 ? width / 2 : 0),
          y: y + dy * gap - height / 2,
          width,
          height,
        };
        const inside =
          box.x >= area.x &&
          box.y >= area.y &&
          box.x + width <= area.x + area.width &&
          box.y + height <= area.y + area.height;
        if (!inside || placed.some((other) => overlap(box, other))) continue;
        const covered = points.filter((p) => p && covers(box, p)).length;
        if (covered < fewest) [best, fewest] = [box, covered];
      }
    }
    if (best) placed.push(best);
    return best;
  });
}

export function drawPointLabels(
  ctx: CanvasRenderingContext2D,
  { theme }: Scene,
  labels: PointLabel[],
  area: Box,
  points: readonly (Point | null)[],
): void {
  const font = (label: PointLabel): string => fontOf(theme, label.strong ? 12 : 10.5, label.strong ? 700 : 500);
  const widths = labels.map((label) => {
    ctx.font = font(label);
    return ctx.measureText(label.text).width;
  });
  const boxes = placePointLabels(labels, widths, area, points);
  labels.forEach((label, i) => {
    const box = boxes[i];
    if (!box) return;
    ctx.globalAlpha = 0.86;
    ctx.fillStyle = theme.background;
    ctx.beginPath();
    ctx.roundRect(box.x, box.y, box.width, box.height, 4);
    ctx.fill();
    ctx.globalAlpha = 1;
    ctx.font = font(label);
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillStyle = theme.text;
    ctx.fillText(label.text, box.x + box.width / 2, box.y + box.height / 2 + 0.5);
  });
}
