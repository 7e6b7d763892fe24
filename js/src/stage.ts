// The picture: a canvas, an overlay for the pointer, and the choice of the plot. Draws at most once a frame, latest wins.

import { initialCamera, orbit, panBy, zoomBy } from "./camera.ts";
import { makeContourPlot } from "./contour.ts";
import { h } from "./dom.ts";
import type { Field, GridPoint } from "./field.ts";
import { onContextLost, sharedGL } from "./gl.ts";
import { makeLinePlot } from "./line.ts";
import { colorTable } from "./palette.ts";
import type { Plot, Scene } from "./plot.ts";
import { watchPointer } from "./pointer.ts";
import { makeSurfacePlot } from "./surface.ts";
import { readTheme, watchTheme, type Theme } from "./theme.ts";
import type { ViewName } from "./wire.ts";

export type PlotName = "surface" | "contour" | "line" | "point";

export interface StageHost {
  /** After a frame was drawn. */
  drawn(plot: PlotName): void;
  /** The grid point that is marked now. */
  pointed(point: GridPoint | null): void;
  /** WebGL2 went away for good. */
  noWebGL(): void;
}

export interface Stage {
  element: HTMLElement;
  canvas: HTMLCanvasElement;
  hasWebGL(): boolean;
  show(field: Field | null, view: ViewName): void;
  orbit(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number): void;
  reset(): void;
  /** Moves the mark by grid steps, from the middle when there is none. */
  step(dColumn: number, dRow: number): void;
  clearMark(): void;
}

const plotName = (field: Field, view: ViewName): PlotName => {
  if (field.nAlpha === 1 && field.nBeta === 1) return "point";
  return field.nAlpha === 1 || field.nBeta === 1 ? "line" : view;
};

const fit = (canvas: HTMLCanvasElement, width: number, height: number, ratio: number): CanvasRenderingContext2D => {
  const [w, hh] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== hh) {
    canvas.width = w;
    canvas.height = hh;
  }
  const ctx = canvas.getContext("2d") as CanvasRenderingContext2D;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
};

export function makeStage(root: HTMLElement, host: StageHost, signal: AbortSignal): Stage {
  const canvas = h("canvas", { class: "ll-canvas", role: "img", "aria-label": "Loss landscape, no values yet" });
  const overlay = h("canvas", { class: "ll-overlay", "aria-hidden": "true" });
  const element = h("div", { class: "ll-picture" }, canvas, overlay);
  const table = colorTable();
  const camera = initialCamera();
  const flat = { contour: makeContourPlot(), line: makeLinePlot() };
  let webgl = sharedGL() !== null;
  let surface: Plot | null = null;
  let theme: Theme | null = null;
  let field: Field | null = null;
  let view: ViewName = "surface";
  let point: GridPoint | null = null;
  let hoverAt: [number, number] | null = null;
  let scheduled = 0;
  let dirty = false;

  const plotFor = (name: PlotName): Plot => {
    if (name === "surface") return (surface ??= makeSurfacePlot(table, camera));
    return name === "contour" ? flat.contour : flat.line;
  };

  const currentName = (): PlotName => plotName(field as Field, webgl ? view : "contour");

  const makeScene = (): Scene | null => {
    const [width, height] = [element.clientWidth, element.clientHeight];
    if (!field || width < 40 || height < 40) return null;
    theme ??= readTheme(root);
    return { field, theme, table, width, height, ratio: Math.min(window.devicePixelRatio || 1, 2) };
  };

  const drawPicture = (scene: Scene): void => {
    const name = currentName();
    const ctx = fit(canvas, scene.width, scene.height, scene.ratio);
    if (plotFor(name).draw(ctx, scene)) {
      if (scene.field.nFinite > 0) host.drawn(name);
      return;
    }
    webgl = false;
    host.noWebGL();
    request();
  };

  const drawOverlay = (scene: Scene): void => {
    const ctx = fit(overlay, scene.width, scene.height, scene.ratio);
    const plot = plotFor(currentName());
    if (hoverAt) point = plot.pick(...hoverAt);
    if (point && (point.row >= scene.field.nBeta || point.column >= scene.field.nAlpha)) point = null;
    if (point) plot.mark(ctx, point, scene);
    host.pointed(point);
  };

  const tick = (): void => {
    scheduled = 0;
    const scene = makeScene();
    if (!scene) return;
    if (dirty) drawPicture(scene);
    dirty = false;
    drawOverlay(scene);
  };

  const schedule = (): void => {
    scheduled ||= requestAnimationFrame(tick);
  };
  const request = (): void => {
    dirty = true;
    schedule();
  };

  const setHover = (at: [number, number] | null): void => {
    hoverAt = at;
    if (!at) point = null;
    schedule();
  };
  const isSpatial = (): boolean => field !== null && currentName() === "surface";
  const changeCamera = (change: () => void): void => {
    if (!isSpatial()) return;
    change();
    hoverAt = null;
    request();
  };

  const stage: Stage = {
    element,
    canvas,
    hasWebGL: () => webgl,
    show(nextField, nextView) {
      if (nextField === field && nextView === view) return;
      if (nextView !== view) setHover(null);
      field = nextField;
      view = nextView;
      element.classList.toggle("ll-spatial", isSpatial());
      request();
    },
    orbit: (dx, dy) => changeCamera(() => orbit(camera, -dx * 0.009, dy * 0.009)),
    pan: (dx, dy) => changeCamera(() => panBy(camera, (2 * dx) / element.clientWidth, (-2 * dy) / element.clientHeight)),
    zoom: (factor) => changeCamera(() => zoomBy(camera, factor)),
    reset: () => changeCamera(() => Object.assign(camera, initialCamera())),
    step(dColumn, dRow) {
      if (!field) return;
      const clamp = (i: number, n: number): number => Math.max(0, Math.min(n - 1, i));
      // On a single line all arrows go along it.
      if (field.nAlpha === 1) dRow ||= dColumn;
      if (field.nBeta === 1) dColumn ||= dRow;
      const from = point ?? { column: Math.floor(field.nAlpha / 2) - dColumn, row: Math.floor(field.nBeta / 2) - dRow };
      hoverAt = null;
      point = { column: clamp(from.column + dColumn, field.nAlpha), row: clamp(from.row + dRow, field.nBeta) };
      schedule();
    },
    clearMark: () => setHover(null),
  };

  watchPointer(overlay, root, { ...stage, hover: setHover, isSpatial }, signal);
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
    cancelAnimationFrame(scheduled);
    for (const plot of [surface, flat.contour, flat.line]) plot?.destroy();
  });
  return stage;
}
