// Draw the training path into a map or a 3D picture, which places its points on the screen.

import { at } from "../model/access.ts";
import { type Checkpoint, capturedText, namedCheckpoints, opacityOf, type Path } from "../model/path.ts";
import { drawText, INK, PAPER, polyline, type Scene } from "./plot.ts";
import type { PointLabel } from "./pointLabels.ts";

export interface Place {
  x: number;
  y: number;
  /** True behind the surface. */
  occluded: boolean;
  /** True above or below the box; the point is drawn at its end. */
  beyond: boolean;
}

/** Place a point, given in grid coordinates and scaled height, on the screen; null outside the picture. */
export type Placing = (column: number, row: number, z: number) => Place | null;

const OCCLUDED = 0.4;
const DROP_COLOR = "#e69f00";

/** A checkpoint without a known height is drawn on the surface. */
const heightOf = (c: Checkpoint): number => (Number.isNaN(c.real) ? c.surface : c.real);

interface Piece {
  points: [number, number][];
  opacity: number;
  dashed: boolean;
}

/** Split the path into pieces of equal opacity and dashes. */
function piecesOf(path: Path, place: Placing): Piece[] {
  const pieces: Piece[] = [];
  const { checkpoints } = path;
  for (let i = 1; i < checkpoints.length; i++) {
    const [a, b] = [at(checkpoints, i - 1), at(checkpoints, i)];
    const [za, zb] = [heightOf(a), heightOf(b)];
    const [start, end] = [place(a.column, a.row, za), place(b.column, b.row, zb)];
    const length = start && end ? Math.hypot(end.x - start.x, end.y - start.y) : 200;
    const n = Math.max(1, Math.min(40, Math.ceil(length / 8)));
    const fade = opacityOf((a.outside + b.outside) / 2);
    const dashed = Number.isNaN(a.real + b.real);
    let before = start;
    for (let k = 1; k <= n; k++) {
      const t = k / n;
      const now = place(a.column + t * (b.column - a.column), a.row + t * (b.row - a.row), za + t * (zb - za));
      if (before && now) {
        const opacity = fade * (before.occluded && now.occluded ? OCCLUDED : 1);
        const piece = pieces[pieces.length - 1];
        const [x, y] = piece?.points[piece.points.length - 1] ?? [];
        if (piece && piece.opacity === opacity && piece.dashed === dashed && x === before.x && y === before.y)
          piece.points.push([now.x, now.y]);
        else
          pieces.push({
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
  return pieces;
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
    ctx.globalAlpha = opacityOf(c.outside) * (top.occluded && foot.occluded ? OCCLUDED : 0.85);
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

/**
 * Draw a disc; a ring if the height is not known, a diamond if the learning rate was lowered, a triangle beyond the
 * box.
 */
function drawCheckpoint(
  ctx: CanvasRenderingContext2D,
  c: Checkpoint,
  { x, y, occluded, beyond }: Place,
  radius: number,
): void {
  ctx.globalAlpha = Math.max(opacityOf(c.outside), c.drop ? 0.7 : 0) * (occluded ? OCCLUDED : 1);
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
  /** Places of the checkpoints on the screen. */
  places: (Place | null)[];
  labels: PointLabel[];
}

export function drawPath(ctx: CanvasRenderingContext2D, scene: Scene, path: Path, place: Placing): DrawnPath {
  const { checkpoints } = path;
  const places = checkpoints.map((c) => place(c.column, c.row, heightOf(c)));
  if (scene.overlays.show_drop_lines) drawDropLines(ctx, scene, path, places, place);
  const pieces = piecesOf(path, place);
  ctx.lineJoin = "round";
  for (const [width, color] of [
    [4, INK],
    [2, PAPER],
  ] as const) {
    for (const { points, opacity, dashed } of pieces) {
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
  const labels = namedCheckpoints(path, scene.width < 520).flatMap(({ index, text }): PointLabel[] => {
    const at = places[index];
    return at ? [{ text, x: at.x, y: at.y }] : [];
  });
  return { places, labels };
}

/** Write the message of the path into an exported picture; on the page it stands above the picture. */
export function drawCaptured(
  ctx: CanvasRenderingContext2D,
  { theme, path, exported }: Scene,
  x: number,
  y: number,
): void {
  const text = path && capturedText(path);
  if (exported && text) drawText(ctx, theme, text, x, y, { align: "left", color: theme.muted });
}

/** Return the index of the checkpoint under the pointer; null if there is none. */
export function checkpointAt(places: readonly (Place | null)[], x: number, y: number): number | null {
  let found: number | null = null;
  let nearest = 9;
  places.forEach((at, i) => {
    const distance = at ? Math.hypot(at.x - x, at.y - y) : Infinity;
    if (distance < nearest) [found, nearest] = [i, distance];
  });
  return found;
}
