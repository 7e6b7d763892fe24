// Export of pictures: the scene drawn once more on its background, as a large canvas or as SVG, and saved to a file.

import type { Scene } from "../plot/plot.ts";
import { svgContext } from "./svg.ts";

/** Draw a scene; return false if that is no longer possible. */
export type DrawInto = (ctx: CanvasRenderingContext2D, scene: Scene) => boolean;

/** Set the size of a canvas, in CSS pixels, and clear it. */
export const prepareCanvas = (
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  ratio: number,
): CanvasRenderingContext2D => {
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const ctx = canvas.getContext("2d") as CanvasRenderingContext2D;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
};

function onBackground(ctx: CanvasRenderingContext2D, scene: Scene, draw: DrawInto): boolean {
  ctx.fillStyle = scene.theme.background;
  ctx.fillRect(0, 0, scene.width, scene.height);
  return draw(ctx, scene);
}

/** Draw at twice the resolution of the screen. */
export function exportCanvas(scene: Scene, draw: DrawInto): HTMLCanvasElement | null {
  const copy = document.createElement("canvas");
  const ratio = 2 * Math.max(1, scene.ratio);
  return onBackground(prepareCanvas(copy, scene.width, scene.height, ratio), { ...scene, ratio, exported: true }, draw)
    ? copy
    : null;
}

export function exportSVG(scene: Scene, draw: DrawInto): string | null {
  const { ctx, text } = svgContext(scene.width, scene.height);
  return onBackground(ctx, { ...scene, ratio: 2, exported: true }, draw) ? text() : null;
}

/** Return a valid file name from the title of the picture. */
export const fileName = (title: string, plot: string, ending: string): string =>
  `${
    title
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "")
      .toLowerCase() || "landscape"
  }-${plot}.${ending}`;

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function savePNG(canvas: HTMLCanvasElement, name: string): void {
  canvas.toBlob((blob) => blob && download(blob, name), "image/png");
}

const saveSVG = (text: string, name: string): void => download(new Blob([text], { type: "image/svg+xml" }), name);

/** A source of pictures to save. */
interface Source {
  canvasForExport(): HTMLCanvasElement | null;
  svg(): string | null;
}

export function savePicture(from: Source, kind: "png" | "svg", title: string, plot = "landscape"): void {
  const name = fileName(title, plot, kind);
  const picture = kind === "png" ? from.canvasForExport() : null;
  if (picture) savePNG(picture, name);
  const text = kind === "svg" ? from.svg() : null;
  if (text) saveSVG(text, name);
}
