// One WebGL2 context for all viewers of a page. Browsers drop the oldest of more than about 16 contexts, and every
// widget loads its own copy of this module, so the context lives on globalThis. Each view copies its picture into its
// own 2D canvas.

export interface SharedGL {
  canvas: OffscreenCanvas | HTMLCanvasElement;
  gl: WebGL2RenderingContext;
  /** Linked programs by source, so that different versions of this module can share the context. */
  programs: Map<string, WebGLProgram>;
  /** True if the processor renders in place of a graphics card; nothing is animated then. */
  slow?: boolean;
  /** The multisampled buffer that smooth pictures are drawn into. */
  smooth?: { framebuffer: WebGLFramebuffer; buffers: [WebGLRenderbuffer, WebGLRenderbuffer]; size: string };
}

const KEY = Symbol.for("lljupyter.gl.v2");
const LOST = "lljupyter-gl-lost";
type Holder = { [KEY]?: SharedGL };

function isSoftware(gl: WebGL2RenderingContext): boolean {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

function create(): SharedGL | null {
  const offscreen = typeof OffscreenCanvas === "function";
  const canvas = offscreen ? new OffscreenCanvas(1, 1) : document.createElement("canvas");
  let gl: WebGL2RenderingContext | null = null;
  try {
    gl = canvas.getContext("webgl2", {
      alpha: true,
      antialias: false,
      powerPreference: "default",
    }) as WebGL2RenderingContext | null;
  } catch {
    // Some browsers throw, others return null; either way there is no 3D.
  }
  if (!gl || gl.isContextLost()) return null;
  const shared: SharedGL = { canvas, gl, programs: new Map(), slow: isSoftware(gl) };
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    const holder = globalThis as Holder;
    if (holder[KEY] === shared) delete holder[KEY];
    globalThis.dispatchEvent(new Event(LOST));
  });
  return shared;
}

/** Return the context of the page, created on first use and after a loss; null without WebGL2. */
export function sharedGL(): SharedGL | null {
  const holder = globalThis as Holder;
  const held = holder[KEY];
  if (held && !held.gl.isContextLost()) return held;
  const made = create();
  if (made) holder[KEY] = made;
  return made;
}

/** Call back whenever the context was lost: draw again with a new one. */
export function onContextLost(callback: () => void, signal: AbortSignal): void {
  globalThis.addEventListener(LOST, callback, { signal });
}

function compile(gl: WebGL2RenderingContext, type: number, source: string): WebGLShader {
  const shader = gl.createShader(type) as WebGLShader;
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

export function getProgram(shared: SharedGL, vertex: string, fragment: string): WebGLProgram {
  const known = shared.programs.get(vertex + fragment);
  if (known) return known;
  const { gl } = shared;
  const program = gl.createProgram() as WebGLProgram;
  gl.attachShader(program, compile(gl, gl.VERTEX_SHADER, vertex));
  gl.attachShader(program, compile(gl, gl.FRAGMENT_SHADER, fragment));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`lljupyter: shader did not link: ${gl.getProgramInfoLog(program)}`);
  }
  shared.programs.set(vertex + fragment, program);
  return program;
}

/** Make the shared canvas at least this large; shrink it if it is far too large. */
export function reserve(shared: SharedGL, width: number, height: number): void {
  const { canvas } = shared;
  const wasteful = canvas.width * canvas.height > 4 * width * height;
  if (canvas.width >= width && canvas.height >= height && !wasteful) return;
  canvas.width = wasteful ? width : Math.max(width, canvas.width);
  canvas.height = wasteful ? height : Math.max(height, canvas.height);
}

/** Draw with smooth edges: into a multisampled buffer, which is then resolved into the canvas. */
export function drawSmooth(shared: SharedGL, width: number, height: number, draw: () => void): void {
  const { gl } = shared;
  const size = `${width} ${height}`;
  if (shared.smooth?.size !== size) {
    const made: Omit<NonNullable<SharedGL["smooth"]>, "size"> = shared.smooth ?? {
      framebuffer: gl.createFramebuffer() as WebGLFramebuffer,
      buffers: [gl.createRenderbuffer() as WebGLRenderbuffer, gl.createRenderbuffer() as WebGLRenderbuffer],
    };
    gl.bindFramebuffer(gl.FRAMEBUFFER, made.framebuffer);
    const samples = Math.min(4, gl.getParameter(gl.MAX_SAMPLES) as number);
    const attach = (buffer: WebGLRenderbuffer, format: number, attachment: number): void => {
      gl.bindRenderbuffer(gl.RENDERBUFFER, buffer);
      gl.renderbufferStorageMultisample(gl.RENDERBUFFER, samples, format, width, height);
      gl.framebufferRenderbuffer(gl.FRAMEBUFFER, attachment, gl.RENDERBUFFER, buffer);
    };
    attach(made.buffers[0], gl.RGBA8, gl.COLOR_ATTACHMENT0);
    attach(made.buffers[1], gl.DEPTH_COMPONENT24, gl.DEPTH_ATTACHMENT);
    shared.smooth = { ...made, size };
  }
  gl.bindFramebuffer(gl.FRAMEBUFFER, shared.smooth.framebuffer);
  draw();
  gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
  gl.blitFramebuffer(0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
}
