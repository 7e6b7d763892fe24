// The picture: a canvas, an overlay for the pointer, and the choice of the plot. Draws at most once a frame, latest wins.

import { onContextLost, sharedGL } from "../gl/context.ts";
import type { Field, GridPoint } from "../model/field.ts";
import { colorTable } from "../model/palette.ts";
import type { Path } from "../model/path.ts";
import type { CameraState, ColormapName, Marks, Snapshot, ViewName } from "../model/wire.ts";
import { h } from "../panel/dom.ts";
import { makeContourPlot } from "../plot/contour.ts";
import { makeLinePlot } from "../plot/line.ts";
import type { Look, Plot, Scene } from "../plot/plot.ts";
import { makeSurfacePlot } from "../plot/surface.ts";
import { readTheme, type Theme, watchTheme } from "../plot/theme.ts";
import { type DrawInto, fit, keptCanvas, keptSVG } from "./export.ts";
import { makeMarker } from "./marker.ts";
import { watchPointer } from "./pointer.ts";
import { makeViewpoint } from "./viewpoint.ts";

export type PlotName = "surface" | "contour" | "line" | "point";

export interface StageHost {
  /** After a frame was drawn. */
  drawn(plot: PlotName): void;
  /** The grid point that is marked now. */
  pointed(point: GridPoint | null): void;
  /** A grid point was clicked, or Enter was pressed on the marked one. */
  chosen(point: GridPoint): void;
  /** WebGL2 went away for good. */
  noWebGL(): void;
  /** The camera was moved here; `settled` once it has come to rest. */
  moved(camera: CameraState | Record<string, never>, settled: boolean): void;
}

/** What is shown, and how. */
export interface Showing {
  field: Field | null;
  snapshot: Snapshot | null;
  view: ViewName;
  colormap: ColormapName;
  look: Look;
  path: Path | null;
  marks: Marks;
}

export interface Stage {
  element: HTMLElement;
  canvas: HTMLCanvasElement;
  hasWebGL(): boolean;
  show(showing: Showing): void;
  /** Looks from here, without telling anybody. */
  look(camera: Partial<CameraState>): void;
  preset(index: number): void;
  orbit(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number): void;
  reset(): void;
  /** Moves the mark by grid steps, from the middle when there is none. */
  step(dColumn: number, dRow: number): void;
  /** Moves the mark along the training path. */
  stepPath(by: 1 | -1): void;
  clearMark(): void;
  /** Chooses the marked point. */
  choose(): void;
  /** The picture on its background, at twice the resolution of the screen; null while there is none. */
  picture(): HTMLCanvasElement | null;
  /** The picture as SVG; null in 3D. */
  svg(): string | null;
}

/** A picture that was drawn in a hurry is drawn well after this time without another one. */
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
  let shown: Showing | null = null;
  let refining: ReturnType<typeof setTimeout> | undefined;
  let scheduled = 0;
  let dirty = false;
  let marked = false;

  const plotFor = (name: PlotName): Plot => {
    if (name === "surface") return (surface ??= makeSurfacePlot(viewpoint.camera));
    return name === "contour" ? flat.contour : flat.line;
  };

  const field = (): Field | null => shown?.field ?? null;
  const pathShown = (): Path | null => (shown?.look.show_path ? shown.path : null);
  const currentName = (): PlotName => plotName(field() as Field, webgl ? (shown as Showing).view : "contour");

  const makeScene = (): Scene | null => {
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (!shown?.field || !shown.snapshot || width < 40 || height < 40) return null;
    theme ??= readTheme(root);
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const { field, snapshot, look, marks } = shown;
    return {
      field,
      snapshot,
      look,
      path: pathShown(),
      marks,
      theme,
      table: colorTable(shown.colormap),
      width,
      height,
      ratio,
    };
  };

  const drawPicture = (scene: Scene): void => {
    const name = currentName();
    const ctx = fit(canvas, scene.width, scene.height, scene.ratio);
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
    const point = marker.find(plot, scene);
    // An overlay that is empty and stays so costs nothing, where the processor puts the page together.
    const empty = point === null && name !== "contour";
    // Chromium may keep the last picture of a canvas that is cleared and not drawn on: a new size empties it for certain.
    if (empty && marked) overlay.width = 1;
    if (!empty) plot.mark(fit(overlay, scene.width, scene.height, scene.ratio), point, scene);
    marked = !empty;
    host.pointed(point);
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

  const marker = makeMarker(schedule);
  const isSpatial = (): boolean => field() !== null && currentName() === "surface";
  const viewpoint = makeViewpoint(element, isSpatial, (camera, settled) => {
    if (!settled) {
      marker.leave();
      request();
    }
    host.moved(camera, settled);
  });

  /** Draws the whole picture once more, elsewhere; the screen follows right after. */
  const drawInto: DrawInto = (ctx, scene) => {
    const plot = plotFor(currentName());
    const done = plot.draw(ctx, scene);
    if (done) plot.mark(ctx, marker.find(plot, scene), scene);
    request();
    return done;
  };

  const { preset, orbit, pan, zoom, reset } = viewpoint;
  const stage: Stage = {
    element,
    canvas,
    hasWebGL: () => webgl,
    show(next) {
      const keys = ["field", "view", "colormap", "look", "path", "marks"] as const;
      if (shown && keys.every((key) => next[key] === shown?.[key])) return;
      if (next.view !== shown?.view) marker.hover(null);
      shown = next;
      element.classList.toggle("ll-spatial", isSpatial());
      request();
    },
    look(state) {
      viewpoint.look(state);
      if (isSpatial()) request();
    },
    ...{ preset, orbit, pan, zoom, reset },
    step(dColumn, dRow) {
      const f = field();
      if (f) marker.step(f, dColumn, dRow);
    },
    stepPath(by) {
      const [f, path] = [field(), pathShown()];
      if (f && path) marker.stepPath(f, path, by);
    },
    picture() {
      const scene = makeScene();
      return scene && keptCanvas(scene, drawInto);
    },
    svg() {
      const scene = makeScene();
      return scene && !isSpatial() ? keptSVG(scene, drawInto) : null;
    },
    clearMark: () => marker.hover(null),
    choose() {
      const scene = makeScene();
      const point = scene && marker.find(plotFor(currentName()), scene);
      if (point) host.chosen(point);
    },
  };

  watchPointer(overlay, root, { ...stage, hover: marker.hover, isSpatial }, signal);
  watchTheme(() => {
    theme = null;
    request();
  }, signal);
  onContextLost(request, signal);
  // The element may be detached and without size when it is made; the theme's variables are known only once it is attached.
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
