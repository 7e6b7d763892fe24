// Pictures that are kept: the scene drawn once more on its background, large or as SVG; and the canvas a picture is drawn on.

import type { Scene } from "../plot/plot.ts";
import { svgContext } from "./svg.ts";

/** Draws a scene; false when that is not possible any more. */
export type DrawInto = (ctx: CanvasRenderingContext2D, scene: Scene) => boolean;

/** Gives a canvas its size, in CSS pixels, and clears it. */
export const fit = (
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  ratio: number,
): CanvasRenderingContext2D => {
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

function onBackground(ctx: CanvasRenderingContext2D, scene: Scene, draw: DrawInto): boolean {
  ctx.fillStyle = scene.theme.background;
  ctx.fillRect(0, 0, scene.width, scene.height);
  return draw(ctx, scene);
}

/** At twice the resolution of the screen. */
export function keptCanvas(scene: Scene, draw: DrawInto): HTMLCanvasElement | null {
  const copy = document.createElement("canvas");
  const ratio = 2 * Math.max(1, scene.ratio);
  return onBackground(fit(copy, scene.width, scene.height, ratio), { ...scene, ratio, kept: true }, draw) ? copy : null;
}

export function keptSVG(scene: Scene, draw: DrawInto): string | null {
  const { ctx, text } = svgContext(scene.width, scene.height);
  return onBackground(ctx, { ...scene, ratio: 2, kept: true }, draw) ? text() : null;
}
