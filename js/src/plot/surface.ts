// The 3D picture: axes box, surface, marks and training path.

import { type Camera, type Fit, fitBox, makeProjection, type Projection } from "../gl/camera.ts";
import { sharedGL } from "../gl/context.ts";
import { blendMesh, FLOOR, HEIGHT, isAlike, type Mesh, makeMesh } from "../gl/mesh.ts";
import { makeOcclusion } from "../gl/occlusion.ts";
import { holeHeights, pickHole, pickSurface } from "../gl/pick.ts";
import { makeRenderer } from "../gl/renderer.ts";
import { valueAt } from "../model/access.ts";
import { type Field, type GridPoint, interpolate, locate, lowest, unit } from "../model/field.ts";
import { messagesHeight } from "../model/messages.ts";
import { type Path, pointOf } from "../model/path.ts";
import { drawAxes, drawPanes } from "./axesBox.ts";
import { barRoom, drawColorBar } from "./colorbar.ts";
import { checkpointAt, drawCaptured, drawPath, type Place, type Placing } from "./pathDrawing.ts";
import { centerMark, cursorMark, lowestMark, type Plot, polyline, type Scene } from "./plot.ts";
import { drawPointLabels, type PointLabel } from "./pointLabels.ts";
import { prefersStill } from "./theme.ts";

interface Drawn {
  mesh: Mesh;
  holes: Map<number, number>;
  projection: Projection;
  place: Placing;
  path: Path | null;
  /** Places of its checkpoints. */
  places: (Place | null)[];
}

/** Return a function that places points of the box on the screen. */
function makePlacing(f: Field, mesh: Mesh, projection: Projection): Placing {
  const { half } = mesh;
  const isOccluded = makeOcclusion(f, mesh, projection);
  return (column, row, height) => {
    const inside = column >= -1e-9 && row >= -1e-9 && column <= f.nAlpha - 1 + 1e-9 && row <= f.nBeta - 1 + 1e-9;
    const t = unit(f, height);
    if (!inside || Number.isNaN(t)) return null;
    const x = half[0] * ((2 * column) / (f.nAlpha - 1) - 1);
    const y = half[1] * ((2 * row) / (f.nBeta - 1) - 1);
    const z = Math.max(FLOOR, Math.min(HEIGHT, t * HEIGHT));
    const [px, py] = projection.project(x, y, z);
    return { x: px, y: py, occluded: isOccluded(x, y, z), beyond: t > 1 + 1e-6 || t * HEIGHT < FLOOR };
  };
}

/** Draw a mark on the surface at fractional grid coordinates; pale if the surface occludes it. */
function drawMark(
  ctx: CanvasRenderingContext2D,
  field: Field,
  { place }: Drawn,
  at: GridPoint,
  mark: typeof centerMark,
): Place | null {
  const found = place(at.column, at.row, interpolate(field, at.column, at.row));
  if (!found || found.beyond) return null;
  mark(ctx, found.x, found.y, found.occluded ? 0.45 : 1);
  return found;
}

/** Mark the center, the lowest point and named models; return the labels of the models. */
function drawMarks(ctx: CanvasRenderingContext2D, { field, marks }: Scene, drawn: Drawn): PointLabel[] {
  const center = locate(field, 0, 0);
  const low = lowest(field);
  if (low && !(center && low.row === center.row && low.column === center.column))
    drawMark(ctx, field, drawn, low, lowestMark);
  if (center) drawMark(ctx, field, drawn, center, centerMark);
  return Object.entries(marks).flatMap(([text, coordinates]): PointLabel[] => {
    const at = locate(field, ...coordinates);
    const found = at && drawMark(ctx, field, drawn, at, centerMark);
    return found ? [{ text, x: found.x, y: found.y, strong: true }] : [];
  });
}

/** A sharper frame moves the surface there within this time, unless frames follow each other faster than QUIET_MS. */
const MOVE_MS = 160;
const QUIET_MS = 300;
/**
 * If the processor renders, pictures that follow each other within this time have no smooth edges; a computation
 * sends two per second.
 */
const HURRY_MS = 800;

const isSameView = (a: Field, b: Field): boolean =>
  a.quantity === b.quantity && a.scale === b.scale && `${a.alpha} ${a.beta}` === `${b.alpha} ${b.beta}`;

export function makeSurfacePlot(camera: Camera): Plot {
  const renderer = makeRenderer();
  let meshOf: { field: Field; mesh: Mesh; holes: Map<number, number> } | null = null;
  let move: { from: Mesh; began: number } | null = null;
  let shown: Mesh | null = null;
  let changed = -Infinity;
  let last = -Infinity;
  let rough = false;
  let drawn: Drawn | null = null;
  let fitted: { key: string; fit: Fit } | null = null;

  const project = ({ field, width, height, path }: Scene, mesh: Mesh): Projection => {
    const bar = barRoom(width);
    const side = width < 460 ? 30 : 52;
    // Messages stand above the picture; the one of a path is short, and fits beside the box of a wide picture.
    const top = 2 + Math.max(10, messagesHeight(field, width, bar.right ? null : path));
    const room = { left: side, right: side * 0.8 + bar.right, top, bottom: bar.bottom + 36 };
    const key = [...mesh.half, camera.elevation, width, height, room.top].join();
    if (fitted?.key !== key) fitted = { key, fit: fitBox(mesh.half, camera.elevation, width, height, room) };
    return makeProjection(camera, fitted.fit, width, height);
  };

  const adopt = (field: Field): void => {
    const mesh = makeMesh(field);
    const now = performance.now();
    const quiet = now - changed > QUIET_MS;
    changed = now;
    const still = !shown || !meshOf || !isSameView(meshOf.field, field) || !isAlike(shown, mesh) || prefersStill();
    move = still || !quiet || sharedGL()?.slow ? null : { from: shown as Mesh, began: now };
    meshOf = { field, mesh, holes: holeHeights(mesh, field.z) };
  };

  /** Return the mesh at this moment of its move. */
  const current = (mesh: Mesh): Mesh => {
    const share = move ? (performance.now() - move.began) / MOVE_MS : 1;
    if (share >= 1) move = null;
    return move ? blendMesh(move.from, mesh, 1 - (1 - share) ** 3) : mesh;
  };

  return {
    draw(ctx, scene) {
      const { field, width, height, overlays, path } = scene;
      if (meshOf?.field !== field) adopt(field);
      const { mesh, holes } = meshOf as NonNullable<typeof meshOf>;
      shown = current(mesh);
      const projection = project(scene, mesh);
      drawn = { mesh, holes, projection, place: makePlacing(field, mesh, projection), path, places: [] };
      drawPanes(ctx, scene, projection, mesh.half);
      // Smooth edges take the processor twice as long.
      const now = performance.now();
      rough = sharedGL()?.slow === true && now - last < HURRY_MS && !scene.exported;
      last = now;
      if (!renderer.draw(ctx, scene, shown, projection, rough)) return false;
      const { places, labels } = path ? drawPath(ctx, scene, path, drawn.place) : { places: [], labels: [] };
      drawn.places = places;
      const names = overlays.show_marks ? drawMarks(ctx, scene, drawn) : [];
      drawAxes(ctx, scene, projection, mesh.half, camera);
      const bar = barRoom(width);
      if (overlays.show_labels)
        drawPointLabels(
          ctx,
          scene,
          [...names, ...labels],
          { x: 2, y: 26, width: width - bar.right - 4, height: height - bar.bottom - 28 },
          places,
        );
      drawCaptured(ctx, scene, 10, 14);
      const length = Math.min(height - 84, 300);
      drawColorBar(ctx, scene, { x: width - 66, y: (height - length) / 2 + 6, length });
      return true;
    },
    moving: () => move !== null,
    rough: () => rough,
    pick(x, y) {
      if (!drawn) return null;
      const { mesh, holes, projection, path, places } = drawn;
      const checkpoint = path && checkpointAt(places, x, y);
      if (path && checkpoint !== null) return pointOf(path, checkpoint, mesh);
      const { origin, direction } = projection.ray(x, y);
      const hit = pickSurface(mesh, origin, direction);
      const hole = pickHole(mesh, holes, origin, direction);
      return hole && (!hit || hole.distance < hit.distance) ? hole : hit;
    },
    drawCursor(ctx, point, { field, theme }) {
      if (!drawn || !point) return;
      const { row, column, checkpoint } = point;
      const { mesh, projection, places } = drawn;
      const at = checkpoint === undefined ? null : places[checkpoint];
      if (at) {
        cursorMark(ctx, at.x, at.y);
        return;
      }
      const x = mesh.half[0] * ((2 * column) / (field.nAlpha - 1) - 1);
      const y = mesh.half[1] * ((2 * row) / (field.nBeta - 1) - 1);
      const i = row * field.nAlpha + column;
      const top = drawn.holes.get(i) ?? Math.min(unit(field, valueAt(field.z, i)), 1) * HEIGHT;
      const [a, b] = [projection.project(x, y, FLOOR), projection.project(x, y, top)];
      ctx.strokeStyle = theme.muted;
      ctx.setLineDash([3, 3]);
      polyline(ctx, [a, b]);
      ctx.stroke();
      ctx.setLineDash([]);
      cursorMark(ctx, b[0], b[1]);
    },
    destroy: () => renderer.destroy(),
  };
}
