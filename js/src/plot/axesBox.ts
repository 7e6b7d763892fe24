// The axes box of the 3D picture: three panes behind the surface, ticks and names along its edges.

import type { Camera, Projection } from "../gl/camera.ts";
import { FLOOR, HEIGHT } from "../gl/mesh.ts";
import { unit } from "../model/field.ts";
import { quantityName } from "../model/format.ts";
import { linearTicks, type Tick, valueTicks } from "../model/ticks.ts";
import { drawText, polyline, type Scene } from "./plot.ts";

type Point = [number, number, number];
type Screen = [number, number];

interface Sides {
  /** The side of the box (-1 or 1) that is away from the eye, along x and y. */
  backX: number;
  backY: number;
}

const sidesOf = (p: Projection): Sides => ({ backX: p.eye[0] > 0 ? -1 : 1, backY: p.eye[1] > 0 ? -1 : 1 });

interface AxisTicks {
  x: Tick[];
  y: Tick[];
  z: Tick[];
}

function axisTicks(scene: Scene): AxisTicks {
  const { field: f, width } = scene;
  const count = width < 460 ? 3 : 5;
  return {
    x: linearTicks(f.alpha[0], f.alpha[1], count),
    y: linearTicks(f.beta[0], f.beta[1], count),
    z: f.nFinite > 0 ? valueTicks(f.lo, f.hi, f.scale, count, f.percent) : [],
  };
}

const along =
  (range: [number, number], half: number) =>
  (at: number): number =>
    -half + (2 * half * (at - range[0])) / (range[1] - range[0]);

/** Draw the panes and grid lines: everything behind the surface. */
export function drawPanes(ctx: CanvasRenderingContext2D, scene: Scene, p: Projection, half: [number, number]): void {
  const { field: f, theme } = scene;
  const [hx, hy] = half;
  const { backX, backY } = sidesOf(p);
  const [bx, by] = [backX * hx, backY * hy];
  const screen = (point: Point): Screen => p.project(...point).slice(0, 2) as Screen;
  const pane = (...corners: Point[]): void => {
    polyline(ctx, corners.map(screen), true);
    ctx.fillStyle = theme.pane;
    ctx.fill();
    ctx.stroke();
  };
  const line = (...points: Point[]): void => {
    polyline(ctx, points.map(screen));
    ctx.stroke();
  };
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.grid;
  pane([-hx, -hy, FLOOR], [hx, -hy, FLOOR], [hx, hy, FLOOR], [-hx, hy, FLOOR]);
  pane([bx, -hy, FLOOR], [bx, hy, FLOOR], [bx, hy, HEIGHT], [bx, -hy, HEIGHT]);
  pane([-hx, by, FLOOR], [hx, by, FLOOR], [hx, by, HEIGHT], [-hx, by, HEIGHT]);
  const ticks = axisTicks(scene);
  const [toX, toY] = [along(f.alpha, hx), along(f.beta, hy)];
  for (const { at } of ticks.x) line([toX(at), -backY * hy, FLOOR], [toX(at), by, FLOOR], [toX(at), by, HEIGHT]);
  for (const { at } of ticks.y) line([-backX * hx, toY(at), FLOOR], [bx, toY(at), FLOOR], [bx, toY(at), HEIGHT]);
  for (const { at } of ticks.z) {
    const z = unit(f, at) * HEIGHT;
    line([-backX * hx, by, z], [bx, by, z], [bx, -backY * hy, z]);
  }
}

const NARROW = 460;

interface Edge {
  from: Point;
  to: Point;
  ticks: { point: Point; label: string }[];
  name: string;
}

/** Draw the ticks and the name of one edge, on the side away from the middle of the picture. */
function drawEdge(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  p: Projection,
  edge: Edge,
  middle: Screen,
  nameGap: number,
): void {
  const { theme } = scene;
  const [a, b] = [p.project(...edge.from), p.project(...edge.to)];
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  if (length < 36) return;
  const center: Screen = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  let normal: Screen = [-(b[1] - a[1]) / length, (b[0] - a[0]) / length];
  if (normal[0] * (center[0] - middle[0]) + normal[1] * (center[1] - middle[1]) < 0) normal = [-normal[0], -normal[1]];
  ctx.strokeStyle = theme.muted;
  ctx.lineWidth = 1;
  polyline(ctx, [a, b]);
  ctx.stroke();
  const align: CanvasTextAlign = normal[0] < -0.25 ? "right" : normal[0] > 0.25 ? "left" : "center";
  let last: Screen | null = null;
  let widest = 0;
  for (const { point, label } of edge.ticks) {
    const [x, y] = p.project(...point);
    if (last && Math.hypot(x - last[0], (y - last[1]) * 1.6) < 26) continue;
    last = [x, y];
    polyline(ctx, [
      [x, y],
      [x + normal[0] * 4, y + normal[1] * 4],
    ]);
    ctx.stroke();
    drawText(ctx, theme, label, x + normal[0] * 8, y + normal[1] * 11, { align });
    widest = Math.max(widest, ctx.measureText(label).width);
  }
  const slant = Math.atan2(b[1] - a[1], b[0] - a[0]);
  // Never upside down; a steep edge is read upwards.
  const upright = slant > 1.4 ? slant - Math.PI : slant < -1.75 ? slant + Math.PI : slant;
  const gap = nameGap + (Math.abs(normal[0]) > 0.5 ? widest * Math.abs(normal[0]) : 0);
  drawText(ctx, theme, edge.name, center[0] + normal[0] * gap, center[1] + normal[1] * gap, {
    angle: upright,
    weight: 600,
  });
}

/** Draw ticks and names over the surface, so that they are always readable. */
export function drawAxes(
  ctx: CanvasRenderingContext2D,
  scene: Scene,
  p: Projection,
  half: [number, number],
  camera: Camera,
): void {
  const { field: f, theme } = scene;
  const narrow = scene.width < NARROW;
  const [hx, hy] = half;
  const { backX, backY } = sidesOf(p);
  const ticks = axisTicks(scene);
  const [toX, toY] = [along(f.alpha, hx), along(f.beta, hy)];
  const middle = p.project(0, 0, (FLOOR + HEIGHT) / 2).slice(0, 2) as Screen;
  // Seen from above, the upper edges of the box lie outside the lower ones.
  const z = camera.elevation > 1.2 ? HEIGHT : FLOOR;
  const floorMiddle = p.project(0, 0, z).slice(0, 2) as Screen;
  const front: Point = [-backX * hx, -backY * hy, z];
  drawEdge(
    ctx,
    scene,
    p,
    {
      from: [-hx, front[1], z],
      to: [hx, front[1], z],
      ticks: ticks.x.map((t) => ({ point: [toX(t.at), front[1], z], label: t.label })),
      name: "alpha",
    },
    floorMiddle,
    30,
  );
  drawEdge(
    ctx,
    scene,
    p,
    {
      from: [front[0], -hy, z],
      to: [front[0], hy, z],
      ticks: ticks.y.map((t) => ({ point: [front[0], toY(t.at), z], label: t.label })),
      name: "beta",
    },
    floorMiddle,
    30,
  );
  if (camera.elevation > 1.35) return;
  // The value axis stands on the leftmost corner of the screen, where the surface never covers it.
  const corners: [number, number][] = [
    [-hx, hy],
    [hx, -hy],
    [hx, hy],
  ];
  const xOf = ([x, y]: [number, number]): number => p.project(x, y, 0)[0];
  const [cx, cy] = corners.reduce((best, corner) => (xOf(corner) < xOf(best) ? corner : best), [-hx, -hy]);
  drawEdge(
    ctx,
    scene,
    p,
    {
      from: [cx, cy, 0],
      to: [cx, cy, HEIGHT],
      ticks: ticks.z.map((t) => ({ point: [cx, cy, unit(f, t.at) * HEIGHT], label: t.label })),
      name: narrow ? "" : quantityName(f.quantity),
    },
    middle,
    22,
  );
  // A narrow picture has room for the name above the numbers, not beside them.
  const [topX, topY] = p.project(cx, cy, HEIGHT);
  if (narrow)
    drawText(ctx, theme, quantityName(f.quantity), Math.max(topX - 8, 4), topY - 12, {
      align: topX < 60 ? "left" : "center",
      weight: 600,
    });
}
