// Draw a mesh with the shared WebGL2 context and copy the picture into a 2D canvas.

import { TABLE_SIZE } from "../model/palette.ts";
import type { Projection } from "./camera.ts";
import { drawSmooth, getProgram, reserve, type SharedGL, sharedGL } from "./context.ts";
import { FLOOR, HEIGHT, type Mesh, STRIDE } from "./mesh.ts";
import { FRAGMENT, VERTEX } from "./shader.ts";

/** What the renderer needs of a scene. */
export interface RenderScene {
  /** RGBA color table. */
  table: Uint8Array;
  theme: { dark: boolean };
  overlays: { show_contours: boolean; show_points: boolean };
  /** CSS pixels. */
  width: number;
  height: number;
  /** Device pixels per CSS pixel. */
  ratio: number;
}

interface Buffers {
  shared: SharedGL;
  program: WebGLProgram;
  vao: WebGLVertexArrayObject;
  vertices: WebGLBuffer;
  indices: WebGLBuffer;
  texture: WebGLTexture;
  table: Uint8Array | null;
  uniforms: (name: string) => WebGLUniformLocation | null;
  uploaded: Mesh | null;
}

function makeBuffers(shared: SharedGL): Buffers {
  const { gl } = shared;
  const program = getProgram(shared, VERTEX, FRAGMENT);
  const vao = gl.createVertexArray() as WebGLVertexArrayObject;
  const vertices = gl.createBuffer() as WebGLBuffer;
  const indices = gl.createBuffer() as WebGLBuffer;
  gl.bindVertexArray(vao);
  gl.bindBuffer(gl.ARRAY_BUFFER, vertices);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
  for (const [location, size, offset] of [
    [0, 3, 0],
    [1, 2, 3],
    [2, 3, 5],
    [3, 1, 8],
  ] as const) {
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, gl.FLOAT, false, STRIDE * 4, offset * 4);
  }
  gl.bindVertexArray(null);
  const texture = gl.createTexture() as WebGLTexture;
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.LINEAR);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  const locations = new Map<string, WebGLUniformLocation | null>();
  const uniforms = (name: string): WebGLUniformLocation | null => {
    if (!locations.has(name)) locations.set(name, gl.getUniformLocation(program, name));
    return locations.get(name) ?? null;
  };
  return { shared, program, vao, vertices, indices, texture, table: null, uniforms, uploaded: null };
}

function upload(buffers: Buffers, mesh: Mesh): void {
  const { gl } = buffers.shared;
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers.vertices);
  gl.bufferData(gl.ARRAY_BUFFER, mesh.vertices, gl.DYNAMIC_DRAW);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.indices, gl.DYNAMIC_DRAW);
  buffers.uploaded = mesh;
}

/** Light from behind the left shoulder of the viewer; it turns with the camera. */
function lightFor(projection: Projection): [number, number, number] {
  const azimuth = Math.atan2(projection.eye[1], projection.eye[0]) - 0.7;
  return [Math.cos(azimuth) * 0.6, Math.sin(azimuth) * 0.6, 0.8];
}

/** Diameter of the dots of grid points: as large as the grid allows. */
const dotSize = (mesh: Mesh, width: number): number =>
  Math.max(3, Math.min(6, (0.3 * width) / Math.max(mesh.nAlpha, mesh.nBeta)));

function drawScene(
  buffers: Buffers,
  mesh: Mesh,
  projection: Projection,
  scene: RenderScene,
  width: number,
  height: number,
): void {
  const { shared, uniforms } = buffers;
  const { gl } = shared;
  const { ratio, theme, overlays, table } = scene;
  gl.viewport(0, 0, width, height);
  gl.enable(gl.SCISSOR_TEST);
  gl.scissor(0, 0, width, height);
  gl.enable(gl.DEPTH_TEST);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.useProgram(buffers.program);
  gl.bindVertexArray(buffers.vao);
  if (buffers.uploaded !== mesh) upload(buffers, mesh);
  gl.activeTexture(gl.TEXTURE0);
  gl.bindTexture(gl.TEXTURE_2D, buffers.texture);
  if (buffers.table !== table)
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, TABLE_SIZE, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
  buffers.table = table;
  gl.uniform1i(uniforms("table"), 0);
  gl.uniformMatrix4fv(uniforms("matrix"), false, projection.matrix as Float32Array);
  gl.uniform3fv(uniforms("eye"), projection.eye as Float32Array);
  gl.uniform3fv(uniforms("light"), lightFor(projection));
  gl.uniform1f(uniforms("top"), HEIGHT);
  gl.uniform1f(uniforms("floorZ"), FLOOR);
  gl.uniform1f(uniforms("lineWidth"), 0.55 * ratio);
  gl.uniform1f(uniforms("pointSize"), dotSize(mesh, scene.width) * ratio);
  gl.uniform1i(uniforms("withLines"), overlays.show_contours ? 1 : 0);
  // Dark lines on a dark floor are made lighter.
  gl.uniform1f(uniforms("lift"), theme.dark ? 0.3 : 0);
  const draw = (part: "floor" | "surface" | "points"): void => {
    gl.uniform1i(uniforms("onFloor"), part === "floor" ? 1 : 0);
    gl.uniform1i(uniforms("asPoints"), part === "points" ? 1 : 0);
    if (part === "points") gl.drawArrays(gl.POINTS, 0, mesh.nAlpha * mesh.nBeta);
    else gl.drawElements(gl.TRIANGLES, mesh.indices.length, gl.UNSIGNED_INT, 0);
  };
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.depthMask(false);
  draw("floor");
  gl.depthMask(true);
  gl.disable(gl.BLEND);
  draw("surface");
  if (overlays.show_points) draw("points");
  gl.bindVertexArray(null);
}

export interface Renderer {
  /** Draw into the context, without smooth edges if `rough`; return false if WebGL2 is gone. */
  draw(ctx: CanvasRenderingContext2D, scene: RenderScene, mesh: Mesh, projection: Projection, rough: boolean): boolean;
  destroy(): void;
}

export function makeRenderer(): Renderer {
  let buffers: Buffers | null = null;
  return {
    draw(ctx, scene, mesh, projection, rough) {
      const { width, height, ratio } = scene;
      const shared = sharedGL();
      if (!shared) return false;
      // A new context does not have the buffers of the old one.
      if (buffers?.shared !== shared) buffers = makeBuffers(shared);
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
      reserve(shared, w, h);
      const held = buffers;
      const drawn = (): void => drawScene(held, mesh, projection, scene, w, h);
      if (rough) drawn();
      else drawSmooth(shared, w, h, drawn);
      ctx.drawImage(shared.canvas, 0, shared.canvas.height - h, w, h, 0, 0, width, height);
      return !shared.gl.isContextLost();
    },
    destroy() {
      if (!buffers) return;
      const { gl } = buffers.shared;
      gl.deleteBuffer(buffers.vertices);
      gl.deleteBuffer(buffers.indices);
      gl.deleteTexture(buffers.texture);
      gl.deleteVertexArray(buffers.vao);
      buffers = null;
    },
  };
}
