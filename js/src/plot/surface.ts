// The 3D picture: axes box, lit surface from WebGL2, center mark; picking by ray.

import { type Camera, type Fit, fitBox, makeProjection, type Projection } from "../gl/camera.ts";
import { sharedGL } from "../gl/context.ts";
import { blendMesh, FLOOR, HEIGHT, isAlike, type Mesh, makeMesh } from "../gl/mesh.ts";
import { makeHidden } from "../gl/occlusion.ts";
import { holeHeights, pickHole, pickSurface } from "../gl/pick.ts";
import { makeRenderer } from "../gl/renderer.ts";
import { type Field, type GridPoint, interpolate, locate, lowest, unit } from "../model/field.ts";
import { notesRoom } from "../model/messages.ts";
import { type Path, pointOf } from "../model/path.ts";
import { prefersStill } from "../panel/dom.ts";
import { drawAxes, drawPanes } from "./axesBox.ts";
import { barRoom, drawColorBar } from "./colorbar.ts";
import { checkpointAt, drawCaptured, drawPath, type Place, type Placing } from "./pathDrawing.ts";
import { centerMark, hoverMark, lowestMark, type Plot, polyline, type Scene } from "./plot.ts";
import { drawTags, type Tag } from "./pointLabels.ts";

interface Drawn {
  mesh: Mesh;
  holes: Map<number, number>;
  projection: Projection;
  place: Placing;
  path: Path | null;
  /** Where its checkpoints are. */
  places: (Place | null)[];
}

/** Places points of the box on the screen. */
function placing(f: Field, mesh: Mesh, projection: Projection): Placing {
  const { half } = mesh;
  const isHidden = makeHidden(f, mesh, projection);
  return (column, row, height) => {
    const inside = column >= -1e-9 && row >= -1e-9 && column <= f.nAlpha - 1 + 1e-9 && row <= f.nBeta - 1 + 1e-9;
    const t = unit(f, height);
    if (!inside || Number.isNaN(t)) return null;
    const x = half[0] * ((2 * column) / (f.nAlpha - 1) - 1);
    const y = half[1] * ((2 * row) / (f.nBeta - 1) - 1);
    const z = Math.max(FLOOR, Math.min(HEIGHT, t * HEIGHT));
    const [px, py] = projection.project(x, y, z);
    return { x: px, y: py, hidden: isHidden(x, y, z), beyond: t > 1 + 1e-6 || t * HEIGHT < FLOOR };
  };
}

/** Draws a sign on the surface at fractional grid coordinates; pale where the surface hides it. */
function drawSign(
  ctx: CanvasRenderingContext2D,
  field: Field,
  { place }: Drawn,
  at: GridPoint,
  sign: typeof centerMark,
): Place | null {
  const found = place(at.column, at.row, interpolate(field, at.column, at.row));
  if (!found || found.beyond) return null;
  sign(ctx, found.x, found.y, found.hidden ? 0.45 : 1);
  return found;
}

/** Signs of the center, of the lowest point and of named models; returns the names. */
function drawMarks(ctx: CanvasRenderingContext2D, { field, marks }: Scene, drawn: Drawn): Tag[] {
  const center = locate(field, 0, 0);
  const low = lowest(field);
  if (low && !(center && low.row === center.row && low.column === center.column))
    drawSign(ctx, field, drawn, low, lowestMark);
  if (center) drawSign(ctx, field, drawn, center, centerMark);
  return Object.entries(marks).flatMap(([text, coordinates]): Tag[] => {
    const at = locate(field, ...coordinates);
    const found = at && drawSign(ctx, field, drawn, at, centerMark);
    return found ? [{ text, x: found.x, y: found.y, strong: true }] : [];
  });
}

/** A frame that sharpens the picture moves it there within this time; frames that come faster than QUIET_MS are motion enough. */
const MOVE_MS = 160;
const QUIET_MS = 300;
/** Where the processor draws, pictures that follow within this time of another are drawn in a hurry: a computation sends two a second. */
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
    // Notes stand over the picture; that of a path is short, and beside the box in a wide one.
    const top = 2 + Math.max(10, notesRoom(field, width, bar.right ? null : path));
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

  /** The mesh at this moment of a move. */
  const current = (mesh: Mesh): Mesh => {
    const share = move ? (performance.now() - move.began) / MOVE_MS : 1;
    if (share >= 1) move = null;
    return move ? blendMesh(move.from, mesh, 1 - (1 - share) ** 3) : mesh;
  };

  return {
    draw(ctx, scene) {
      const { field, width, height, look, path } = scene;
      if (meshOf?.field !== field) adopt(field);
      const { mesh, holes } = meshOf as NonNullable<typeof meshOf>;
      shown = current(mesh);
      const projection = project(scene, mesh);
      drawn = { mesh, holes, projection, place: placing(field, mesh, projection), path, places: [] };
      drawPanes(ctx, scene, projection, mesh.half);
      // Smooth edges take the processor twice as long; while pictures follow each other it leaves them out.
      const now = performance.now();
      rough = sharedGL()?.slow === true && now - last < HURRY_MS && !scene.kept;
      last = now;
      if (!renderer.draw(ctx, scene, shown, projection, rough)) return false;
      const { places, tags } = path ? drawPath(ctx, scene, path, drawn.place) : { places: [], tags: [] };
      drawn.places = places;
      const names = look.show_marks ? drawMarks(ctx, scene, drawn) : [];
      drawAxes(ctx, scene, projection, mesh.half, camera);
      const bar = barRoom(width);
      if (look.show_labels)
        drawTags(
          ctx,
          scene,
          [...names, ...tags],
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
    mark(ctx, point, { field, theme }) {
      if (!drawn || !point) return;
      const { row, column, checkpoint } = point;
      const { mesh, projection, places } = drawn;
      const at = checkpoint === undefined ? null : places[checkpoint];
      if (at) {
        hoverMark(ctx, at.x, at.y);
        return;
      }
      const x = mesh.half[0] * ((2 * column) / (field.nAlpha - 1) - 1);
      const y = mesh.half[1] * ((2 * row) / (field.nBeta - 1) - 1);
      const i = row * field.nAlpha + column;
      const top = drawn.holes.get(i) ?? Math.min(unit(field, field.z[i]), 1) * HEIGHT;
      const [a, b] = [projection.project(x, y, FLOOR), projection.project(x, y, top)];
      ctx.strokeStyle = theme.muted;
      ctx.setLineDash([3, 3]);
      polyline(ctx, [a, b]);
      ctx.stroke();
      ctx.setLineDash([]);
      hoverMark(ctx, b[0], b[1]);
    },
    destroy: () => renderer.destroy(),
  };
}
