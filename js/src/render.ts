// Draws one mesh with the shared WebGL2 context and copies the picture into a 2D canvas.

import { getProgram, reserve, sharedGL, type SharedGL } from "./gl.ts";
import { FLOOR, HEIGHT, STRIDE, type Mesh } from "./mesh.ts";
import { TABLE_SIZE } from "./palette.ts";
import { FRAGMENT, VERTEX } from "./shader.ts";
import type { Projection } from "./camera.ts";
import type { Scene } from "./plot.ts";

interface Buffers {
  shared: SharedGL;
  program: WebGLProgram;
  vao: WebGLVertexArrayObject;
  vertices: WebGLBuffer;
  indices: WebGLBuffer;
  table: WebGLTexture;
  uniforms: (name: string) => WebGLUniformLocation | null;
  uploaded: Mesh | null;
}

function makeBuffers(shared: SharedGL, table: Uint8Array): Buffers {
  const { gl } = shared;
  const program = getProgram(shared, VERTEX, FRAGMENT);
  const vao = gl.createVertexArray() as WebGLVertexArrayObject;
  const vertices = gl.createBuffer() as WebGLBuffer;
  const indices = gl.createBuffer() as WebGLBuffer;
  gl.bindVertexArray(vao);
  gl.bindBuffer(gl.ARRAY_BUFFER, vertices);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
  for (const [location, size, offset] of [[0, 3, 0], [1, 2, 3], [2, 3, 5]]) {
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, gl.FLOAT, false, STRIDE * 4, offset * 4);
  }
  gl.bindVertexArray(null);
  const texture = gl.createTexture() as WebGLTexture;
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, TABLE_SIZE, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.LINEAR);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  const locations = new Map<string, WebGLUniformLocation | null>();
  const uniforms = (name: string): WebGLUniformLocation | null => {
    if (!locations.has(name)) locations.set(name, gl.getUniformLocation(program, name));
    return locations.get(name) ?? null;
  };
  return { shared, program, vao, vertices, indices, table: texture, uniforms, uploaded: null };
}

function upload(buffers: Buffers, mesh: Mesh): void {
  const { gl } = buffers.shared;
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers.vertices);
  gl.bufferData(gl.ARRAY_BUFFER, mesh.vertices, gl.DYNAMIC_DRAW);
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.indices, gl.DYNAMIC_DRAW);
  buffers.uploaded = mesh;
}

/** Light from behind the viewer's left shoulder, so that it turns with the camera. */
function lightFor(projection: Projection): [number, number, number] {
  const azimuth = Math.atan2(projection.eye[1], projection.eye[0]) - 0.7;
  return [Math.cos(azimuth) * 0.6, Math.sin(azimuth) * 0.6, 0.8];
}

function drawScene(buffers: Buffers, mesh: Mesh, projection: Projection, width: number, height: number, ratio: number, dark: boolean): void {
  const { shared, uniforms } = buffers;
  const { gl } = shared;
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
  gl.bindTexture(gl.TEXTURE_2D, buffers.table);
  gl.uniform1i(uniforms("table"), 0);
  gl.uniformMatrix4fv(uniforms("matrix"), false, projection.matrix as Float32Array);
  gl.uniform3fv(uniforms("eye"), projection.eye as Float32Array);
  gl.uniform3fv(uniforms("light"), lightFor(projection));
  gl.uniform1f(uniforms("top"), HEIGHT);
  gl.uniform1f(uniforms("floorZ"), FLOOR);
  gl.uniform1f(uniforms("lineWidth"), 0.55 * ratio);
  // Dark lines on a dark floor need some light.
  gl.uniform1f(uniforms("lift"), dark ? 0.3 : 0);
  const draw = (onFloor: boolean): void => {
    gl.uniform1i(uniforms("onFloor"), onFloor ? 1 : 0);
    gl.drawElements(gl.TRIANGLES, mesh.indices.length, gl.UNSIGNED_INT, 0);
  };
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.depthMask(false);
  draw(true);
  gl.depthMask(true);
  gl.disable(gl.BLEND);
  draw(false);
  gl.bindVertexArray(null);
}

export interface Renderer {
  /** Draws into the context; false when WebGL2 is gone. */
  draw(ctx: CanvasRenderingContext2D, scene: Scene, mesh: Mesh, projection: Projection): boolean;
  destroy(): void;
}

export function makeRenderer(table: Uint8Array): Renderer {
  let buffers: Buffers | null = null;
  return {
    draw(ctx, { width, height, ratio, theme }, mesh, projection) {
      const shared = sharedGL();
      if (!shared) return false;
      // A new context knows nothing of the old one's buffers.
      if (buffers?.shared !== shared) buffers = makeBuffers(shared, table);
      const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
      reserve(shared, w, h);
      drawScene(buffers, mesh, projection, w, h, ratio, theme.dark);
      ctx.drawImage(shared.canvas, 0, shared.canvas.height - h, w, h, 0, 0, width, height);
      return !shared.gl.isContextLost();
    },
    destroy() {
      if (!buffers) return;
      const { gl } = buffers.shared;
      gl.deleteBuffer(buffers.vertices);
      gl.deleteBuffer(buffers.indices);
      gl.deleteTexture(buffers.table);
      gl.deleteVertexArray(buffers.vao);
      buffers = null;
    },
  };
}
