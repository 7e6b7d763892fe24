// What the root element tells of the picture, for tests and for whoever styles it: data attributes, classes and labels.
//
// Hooks for tests (stable):
//   .lljupyter                 root; data-status ("waiting" before the first meta), data-n-done, data-sequence,
//                              data-view (surface | contour: the effective one), data-plot (surface | contour | line | point),
//                              data-drawn-sequence (last frame drawn), data-first-drawn-ms (epoch milliseconds of the first
//                              picture with a value in it), data-theme (light | dark), data-stale ("true" while the picture
//                              belongs to an earlier range, seed or resolution), data-silent ("true": no answer from the kernel),
//                              data-checkpoints (number of checkpoints of the training path that is drawn, 0 without one),
//                              data-range ("low high" of the height scale, as drawn: log10 on a log scale)
//   .ll-canvas, .ll-overlay    the picture and the marks over it; the overlay gets the pointer
//   .ll-hover                  the value under the pointer, or at the center
//   .ll-progress               progress in words; .ll-bar the bar; .ll-resolution the number of points
//   .ll-probe                  what was found at the point that was clicked; data-status (computing | done)
//   .ll-message, .ll-error, .ll-note, .ll-live   skeleton text, error box (role=alert), chips, polite live region
//   .ll-surface .ll-contour .ll-linear .ll-log   buttons "3D" "Contour" "Linear" "Log" (aria-pressed)
//   .ll-hold                   aria-label "Pause" or "Resume"; .ll-cancel aria-label "Cancel"; .ll-fullscreen "Full screen"
//   .ll-quantity               select, aria-label "Quantity"
//   aria-labels of inputs      "alpha minimum" "alpha maximum" "beta minimum" "beta maximum" "Seed";
//                              sliders "lower end of alpha" "upper end of alpha" (and of beta), "Seed slider";
//                              buttons "Previous seed" "Next seed" "Play through seeds"; "Points along alpha" "Points along beta"
//                              "Resolution slider" "Clip" "Lowest height" "Highest height"
//   .ll-panel                  the panel of all controls (details, opens and folds); .ll-look its part about the picture
//   .ll-color .ll-colormap .ll-levels   selects; .ll-show-contours .ll-show-points .ll-show-marks .ll-show-path .ll-show-drop-lines .ll-show-labels
//                              .ll-show-slices   checkboxes
//   .ll-preset                 buttons "Corner" "Top" "Front" "Side"; .ll-save-png .ll-save-svg buttons "PNG" "SVG"

import type { Field } from "./model/field.ts";
import type { Path } from "./model/path.ts";
import type { Meta, ViewName } from "./model/wire.ts";
import type { PlotName } from "./stage/stage.ts";

export function tellState(
  root: HTMLElement,
  meta: Meta | null,
  now: { view: ViewName; stale: boolean; silent: boolean },
): void {
  root.dataset.status = meta?.status ?? "waiting";
  root.dataset.nDone = String(meta?.n_done ?? 0);
  root.dataset.sequence = String(meta?.sequence ?? -1);
  root.dataset.view = now.view;
  root.dataset.stale = String(now.stale);
  root.dataset.silent = String(now.silent);
}

export const isDrawn = (root: HTMLElement, meta: Meta | null): boolean =>
  root.dataset.drawnSequence === String(meta?.sequence);

export function tellSequence(root: HTMLElement, meta: Meta | null): void {
  root.dataset.drawnSequence = String(meta?.sequence);
}

export function tellDrawn(root: HTMLElement, plot: PlotName, field: Field, meta: Meta, path: Path | null): void {
  root.dataset.plot = plot;
  root.dataset.range = `${field.lo} ${field.hi}`;
  root.dataset.firstDrawnMs ??= String(Math.round(performance.timeOrigin + performance.now()));
  root.dataset.checkpoints = String(plot === "surface" || plot === "contour" ? (path?.checkpoints.length ?? 0) : 0);
  tellSequence(root, meta);
}
