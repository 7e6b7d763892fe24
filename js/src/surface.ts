// The 3D picture: axes box, lit surface from WebGL2, center mark; picking by ray.

import { drawAxes, drawPanes } from "./box.ts";
import { fitBox, makeProjection, type Camera, type Projection } from "./camera.ts";
import { barRoom, drawColorBar } from "./colorbar.ts";
import { interpolate, locate, unit, type Field } from "./field.ts";
import { FLOOR, HEIGHT, makeMesh, type Mesh } from "./mesh.ts";
import { holeHeights, pickHole, pickSurface } from "./pick.ts";
import { centerMark, hoverMark, polyline, type Plot, type Scene } from "./plot.ts";
import { makeRenderer } from "./render.ts";

interface Drawn {
  mesh: Mesh;
  holes: Map<number, number>;
  projection: Projection;
}

/** The center on the surface with a stem to the floor; pale where the surface hides it. */
function drawCenter(ctx: CanvasRenderingContext2D, { field }: Scene, { mesh, projection }: Drawn): void {
  const at = locate(field, 0, 0);
  if (!at) return;
  const t = unit(field, interpolate(field, at.column, at.row));
  if (!(t >= -1e-6 && t <= 1 + 1e-6)) return;
  const x = mesh.half[0] * ((2 * at.column) / (field.nAlpha - 1) - 1);
  const y = mesh.half[1] * ((2 * at.row) / (field.nBeta - 1) - 1);
  const [px, py] = projection.project(x, y, t * HEIGHT);
  const { origin, direction } = projection.ray(px, py);
  const hit = pickSurface(mesh, origin, direction);
  const distance = Math.hypot(origin[0] - x, origin[1] - y, origin[2] - t * HEIGHT);
  const hidden = hit !== null && hit.distance < distance - 0.04;
  centerMark(ctx, px, py, hidden ? 0.45 : 1);
}

export function makeSurfacePlot(table: Uint8Array, camera: Camera): Plot {
  const renderer = makeRenderer(table);
  let meshOf: { field: Field; mesh: Mesh; holes: Map<number, number> } | null = null;
  let drawn: Drawn | null = null;

  const project = ({ width, height }: Scene, mesh: Mesh): Projection => {
    const bar = barRoom(width);
    const side = width < 460 ? 30 : 52;
    const room = { left: side, right: side * 0.8 + bar.right, top: 12, bottom: bar.bottom + 36 };
    return makeProjection(camera, fitBox(mesh.half, camera.elevation, width, height, room), width, height);
  };

  return {
    draw(ctx, scene) {
      const { field, width, height } = scene;
      if (meshOf?.field !== field) {
        const made = makeMesh(field);
        meshOf = { field, mesh: made, holes: holeHeights(made, field.z) };
      }
      const { mesh, holes } = meshOf;
      const projection = project(scene, mesh);
      drawn = { mesh, holes, projection };
      drawPanes(ctx, scene, projection, mesh.half);
      if (!renderer.draw(ctx, scene, mesh, projection)) return false;
      drawCenter(ctx, scene, drawn);
      drawAxes(ctx, scene, projection, mesh.half, camera);
      const length = Math.min(height - 84, 300);
      drawColorBar(ctx, scene, { x: width - 66, y: (height - length) / 2 + 6, length });
      return true;
    },
    pick(x, y) {
      if (!drawn) return null;
      const { origin, direction } = drawn.projection.ray(x, y);
      const { mesh } = drawn;
      const hit = pickSurface(mesh, origin, direction);
      const hole = pickHole(mesh, drawn.holes, origin, direction);
      return hole && (!hit || hole.distance < hit.distance) ? hole : hit;
    },
    mark(ctx, { row, column }, { field, theme }) {
      if (!drawn) return;
      const { mesh, projection } = drawn;
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
