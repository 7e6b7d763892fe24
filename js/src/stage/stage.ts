// The picture: a canvas, an overlay for the cursor, and the choice of the plot. It draws at most once per animation
// frame.

import { onContextLost, sharedGL } from "../gl/context.ts";
import type { CameraState, ColormapName, Overlays, ViewName } from "../model/controls.ts";
import type { Field, GridPoint } from "../model/field.ts";
import { colorTable } from "../model/palette.ts";
import type { Path } from "../model/path.ts";
import type { Marks, Snapshot } from "../model/wire.ts";
import { h } from "../panel/dom.ts";
import { makeContourPlot } from "../plot/contour.ts";
import { makeLinePlot } from "../plot/line.ts";
import type { Plot, Scene } from "../plot/plot.ts";
import { makeSurfacePlot } from "../plot/surface.ts";
import { readTheme, type Theme, watchTheme } from "../plot/theme.ts";
import { makeCursor } from "./cursor.ts";
import { type DrawInto, exportCanvas, exportSVG, prepareCanvas } from "./export.ts";
import { watchPointer } from "./pointer.ts";
import { makeViewpoint } from "./viewpoint.ts";

export type PlotName = "surface" | "contour" | "line" | "point";

export interface StageHost {
  /** A frame was drawn. */
  drawn(plot: PlotName): void;
  /** The cursor is at this grid point now. */
  cursorMoved(point: GridPoint | null): void;
  /** A grid point was clicked, or Enter was pressed on it. */
  inspected(point: GridPoint): void;
  /** WebGL2 is no longer available. */
  noWebGL(): void;
  /** The camera was moved; `settled` if it has come to rest. */
  moved(camera: CameraState | Record<string, never>, settled: boolean): void;
}

/** What the stage shows, and how. */
export interface Picture {
  field: Field | null;
  snapshot: Snapshot | null;
  view: ViewName;
  colormap: ColormapName;
  overlays: Overlays;
  path: Path | null;
  marks: Marks;
}

export interface Stage {
  element: HTMLElement;
  canvas: HTMLCanvasElement;
  hasWebGL(): boolean;
  show(picture: Picture): void;
  /** Set the camera without reporting it. */
  setCamera(camera: Partial<CameraState>): void;
  preset(index: number): void;
  orbit(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number): void;
  reset(): void;
  /** Move the cursor by grid steps, from the middle if there is none. */
  step(dColumn: number, dRow: number): void;
  /** Move the cursor along the training path. */
  stepPath(by: 1 | -1): void;
  clearCursor(): void;
  /** Inspect the point under the cursor. */
  inspect(): void;
  /** Return the picture on its background, at twice the resolution of the screen; null if there is none. */
  canvasForExport(): HTMLCanvasElement | null;
  /** Return the picture as SVG; null in 3D. */
  svg(): string | null;
}

/** A picture drawn without smooth edges is drawn again after this time without a new one. */
const REFINE_MS = 900;

const plotName = (field: Field, view: ViewName): PlotName => {
  if (field.nAlpha === 1 && field.nBeta === 1) return "point";
  return field.nAlpha === 1 || field.nBeta === 1 ? "line" : view;
};

export function makeStage(root: HTMLElement, host: StageHost, signal: AbortSignal): Stage {
  const canvas = h("canvas", { class: "ll-canvas", role: "img", "aria-label": "Loss landscape, no values yet" });
  const overlay = h("canvas", { class: "ll-overlay", "aria-hidden": "true" });
  const element = h("div", { class: "ll-picture" }, canvas, overlay);
  const flat = { contour: makeContourPlot(), line: makeLinePlot() };
  let webgl = sharedGL() !== null;
  let surface: Plot | null = null;
  let theme: Theme | null = null;
  let picture: Picture | null = null;
  let refining: ReturnType<typeof setTimeout> | undefined;
  let scheduled = 0;
  let dirty = false;
  let hasOverlay = false;

  const plotFor = (name: PlotName): Plot => {
    if (name === "surface") {
      surface ??= makeSurfacePlot(viewpoint.camera);
      return surface;
    }
    return name === "contour" ? flat.contour : flat.line;
  };

  const field = (): Field | null => picture?.field ?? null;
  const pathShown = (): Path | null => (picture?.overlays.show_path ? picture.path : null);
  const currentName = (): PlotName => plotName(field() as Field, webgl ? (picture as Picture).view : "contour");

  const makeScene = (): Scene | null => {
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (!picture?.field || !picture.snapshot || width < 40 || height < 40) return null;
    theme ??= readTheme(root);
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { field, snapshot, overlays, marks } = picture;
    return {
      field,
      snapshot,
      overlays,
      path: pathShown(),
      marks,
      theme,
      table: colorTable(picture.colormap),
      width,
      height,
      ratio,
    };
  };

  const drawPicture = (scene: Scene): void => {
    const name = currentName();
    const ctx = prepareCanvas(canvas, scene.width, scene.height, scene.ratio);
    const plot = plotFor(name);
    if (plot.draw(ctx, scene)) {
      clearTimeout(refining);
      if (plot.rough?.()) refining = setTimeout(request, REFINE_MS);
      if (plot.moving?.()) request();
      else if (scene.field.nFinite > 0) host.drawn(name);
      return;
    }
    webgl = false;
    host.noWebGL();
    request();
  };

  const drawOverlay = (scene: Scene): void => {
    const name = currentName();
    const plot = plotFor(name);
    const point = cursor.find(plot, scene);
    // An overlay that stays empty costs nothing if the processor composes the page.
    const empty = point === null && name !== "contour";
    // Chromium may keep showing a canvas that is cleared and not drawn on; a new size empties it for certain.
    if (empty && hasOverlay) overlay.width = 1;
    if (!empty) plot.drawCursor(prepareCanvas(overlay, scene.width, scene.height, scene.ratio), point, scene);
    hasOverlay = !empty;
    host.cursorMoved(point);
  };

  const tick = (): void => {
    scheduled = 0;
    const scene = makeScene();
    if (!scene) return;
    const due = dirty;
    dirty = false;
    if (due) drawPicture(scene);
    drawOverlay(scene);
  };

  const schedule = (): void => {
    scheduled ||= requestAnimationFrame(tick);
  };
  const request = (): void => {
    dirty = true;
    schedule();
  };

  const cursor = makeCursor(schedule);
  const isSpatial = (): boolean => field() !== null && currentName() === "surface";
  const viewpoint = makeViewpoint(element, isSpatial, (camera, settled) => {
    if (!settled) {
      cursor.leave();
      request();
    }
    host.moved(camera, settled);
  });

  /** Draw the whole picture once more into another context; the screen is drawn again right after. */
  const drawInto: DrawInto = (ctx, scene) => {
    const plot = plotFor(currentName());
    const done = plot.draw(ctx, scene);
    if (done) plot.drawCursor(ctx, cursor.find(plot, scene), scene);
    request();
    return done;
  };

  const { preset, orbit, pan, zoom, reset } = viewpoint;
  const stage: Stage = {
    element,
    canvas,
    hasWebGL: () => webgl,
    show(next) {
      const keys = ["field", "view", "colormap", "overlays", "path", "marks"] as const;
      if (picture && keys.every((key) => next[key] === picture?.[key])) return;
      if (next.view !== picture?.view) cursor.hover(null);
      picture = next;
      element.classList.toggle("ll-spatial", isSpatial());
      request();
    },
    setCamera(state) {
      viewpoint.setCamera(state);
      if (isSpatial()) request();
    },
    ...{ preset, orbit, pan, zoom, reset },
    step(dColumn, dRow) {
      const f = field();
      if (f) cursor.step(f, dColumn, dRow);
    },
    stepPath(by) {
      const [f, path] = [field(), pathShown()];
      if (f && path) cursor.stepPath(f, path, by);
    },
    canvasForExport() {
      const scene = makeScene();
      return scene && exportCanvas(scene, drawInto);
    },
    svg() {
      const scene = makeScene();
      return scene && !isSpatial() ? exportSVG(scene, drawInto) : null;
    },
    clearCursor: () => cursor.hover(null),
    inspect() {
      const scene = makeScene();
      const point = scene && cursor.find(plotFor(currentName()), scene);
      if (point) host.inspected(point);
    },
  };

  watchPointer(overlay, root, { ...stage, hover: cursor.hover, isSpatial }, signal);
  watchTheme(() => {
    theme = null;
    request();
  }, signal);
  onContextLost(request, signal);
  // A new element may be detached and without size; the variables of the theme are known only once it is attached.
  const observer = new ResizeObserver(() => {
    theme = null;
    request();
  });
  observer.observe(element);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    clearTimeout(refining);
    viewpoint.destroy();
    cancelAnimationFrame(scheduled);
    for (const plot of [surface, flat.contour, flat.line]) plot?.destroy();
  });
  return stage;
}
