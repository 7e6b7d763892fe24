// Draws the training path into a picture, flat or spatial: the picture says where a point of the box is on its screen.

import { type Checkpoint, capturedText, namedCheckpoints, opacityOf, type Path } from "../model/path.ts";
import { drawText, INK, PAPER, polyline, type Scene } from "./plot.ts";
import type { Tag } from "./pointLabels.ts";

export interface Place {
  x: number;
  y: number;
  /** Behind the surface. */
  hidden: boolean;
  /** Too high or too low for the box: it stands at the end. */
  beyond: boolean;
}

/** Where a point is on the screen: grid coordinates and scaled height; null outside of the picture. */
export type Placing = (column: number, row: number, z: number) => Place | null;

const HIDDEN = 0.4;
const DROP_COLOR = "#e69f00";

/** A checkpoint whose real height is not known lies on the surface. */
const heightOf = (c: Checkpoint): number => (Number.isNaN(c.real) ? c.surface : c.real);

interface Run {
  points: [number, number][];
  opacity: number;
  dashed: boolean;
}

/** The path in pieces that are drawn alike. */
function runsOf(path: Path, place: Placing): Run[] {
  const runs: Run[] = [];
  const { checkpoints } = path;
  for (let i = 1; i < checkpoints.length; i++) {
    const [a, b] = [checkpoints[i - 1], checkpoints[i]];
    const [za, zb] = [heightOf(a), heightOf(b)];
    const ends = [place(a.column, a.row, za), place(b.column, b.row, zb)];
    const length = ends[0] && ends[1] ? Math.hypot(ends[1].x - ends[0].x, ends[1].y - ends[0].y) : 200;
    const n = Math.max(1, Math.min(40, Math.ceil(length / 8)));
    const fade = opacityOf((a.outside + b.outside) / 2);
    const dashed = Number.isNaN(a.real + b.real);
    let before = ends[0];
    for (let k = 1; k <= n; k++) {
      const t = k / n;
      const now = place(a.column + t * (b.column - a.column), a.row + t * (b.row - a.row), za + t * (zb - za));
      if (before && now) {
        const opacity = fade * (before.hidden && now.hidden ? HIDDEN : 1);
        const run = runs[runs.length - 1];
        const [x, y] = run?.points[run.points.length - 1] ?? [];
        if (run && run.opacity === opacity && run.dashed === dashed && x === before.x && y === before.y)
          run.points.push([now.x, now.y]);
        else
          runs.push({
            points: [
              [before.x, before.y],
              [now.x, now.y],
            ],
            opacity,
            dashed,
          });
      }
      before = now;
    }
  }
  return runs;
}

function drawDropLines(
  ctx: CanvasRenderingContext2D,
  { theme }: Scene,
  path: Path,
  places: (Place | null)[],
  place: Placing,
): void {
  path.checkpoints.forEach((c, i) => {
    const [top, foot] = [places[i], place(c.column, c.row, c.surface)];
    if (!top || !foot || Number.isNaN(c.real) || Math.hypot(top.x - foot.x, top.y - foot.y) < 2) return;
    ctx.globalAlpha = opacityOf(c.outside) * (top.hidden && foot.hidden ? HIDDEN : 0.85);
    ctx.strokeStyle = theme.text;
    ctx.lineWidth = 1;
    ctx.setLineDash([2, 2]);
    polyline(ctx, [
      [top.x, top.y],
      [foot.x, foot.y],
    ]);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.fillStyle = theme.text;
    ctx.beginPath();
    ctx.arc(foot.x, foot.y, 1.5, 0, 2 * Math.PI);
    ctx.fill();
  });
  ctx.globalAlpha = 1;
}

/** A disc; a ring where the real height is not known, a diamond where the learning rate was lowered, a triangle beyond the box. */
function drawCheckpoint(
  ctx: CanvasRenderingContext2D,
  c: Checkpoint,
  { x, y, hidden, beyond }: Place,
  radius: number,
): void {
  ctx.globalAlpha = Math.max(opacityOf(c.outside), c.drop ? 0.7 : 0) * (hidden ? HIDDEN : 1);
  ctx.lineWidth = 1.25;
  ctx.strokeStyle = INK;
  ctx.fillStyle = c.drop ? DROP_COLOR : PAPER;
  const r = c.drop ? radius + 2.5 : radius;
  if (beyond)
    polyline(
      ctx,
      [
        [x - r - 1, y + r],
        [x + r + 1, y + r],
        [x, y - r - 2],
      ],
      true,
    );
  else if (c.drop)
    polyline(
      ctx,
      [
        [x - r, y],
        [x, y - r],
        [x + r, y],
        [x, y + r],
      ],
      true,
    );
  else {
    ctx.beginPath();
    ctx.arc(x, y, r, 0, 2 * Math.PI);
  }
  if (!Number.isNaN(c.real)) ctx.fill();
  ctx.stroke();
  ctx.globalAlpha = 1;
}

export interface DrawnPath {
  /** Where the checkpoints are on the screen. */
  places: (Place | null)[];
  tags: Tag[];
}

export function drawPath(ctx: CanvasRenderingContext2D, scene: Scene, path: Path, place: Placing): DrawnPath {
  const { checkpoints } = path;
  const places = checkpoints.map((c) => place(c.column, c.row, heightOf(c)));
  if (scene.look.show_drop_lines) drawDropLines(ctx, scene, path, places, place);
  const runs = runsOf(path, place);
  ctx.lineJoin = "round";
  for (const [width, color] of [
    [4, INK],
    [2, PAPER],
  ] as const) {
    for (const { points, opacity, dashed } of runs) {
      ctx.globalAlpha = opacity;
      ctx.lineWidth = width;
      ctx.strokeStyle = color;
      ctx.setLineDash(dashed ? [5, 4] : []);
      polyline(ctx, points);
      ctx.stroke();
    }
  }
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
  const many = checkpoints.length > 40;
  const last = checkpoints.length - 1;
  checkpoints.forEach((c, i) => {
    const at = places[i];
    const isEpoch = c.label.startsWith("epoch");
    if (at) drawCheckpoint(ctx, c, at, i === 0 || i === last ? 4 : many && !isEpoch ? 1.5 : 3);
  });
  const tags = namedCheckpoints(path, scene.width < 520).flatMap(({ index, text }): Tag[] => {
    const at = places[index];
    return at ? [{ text, x: at.x, y: at.y }] : [];
  });
  return { places, tags };
}

/** What a kept picture says of the path: on the page it stands beside the picture. */
export function drawCaptured(ctx: CanvasRenderingContext2D, { theme, path, kept }: Scene, x: number, y: number): void {
  const text = path && capturedText(path);
  if (kept && text) drawText(ctx, theme, text, x, y, { align: "left", color: theme.muted });
}

/** The checkpoint under the pointer; null when there is none. */
export function checkpointAt(places: readonly (Place | null)[], x: number, y: number): number | null {
  let found: number | null = null;
  let nearest = 9;
  places.forEach((at, i) => {
    const distance = at ? Math.hypot(at.x - x, at.y - y) : Infinity;
    if (distance < nearest) [found, nearest] = [i, distance];
  });
  return found;
}
