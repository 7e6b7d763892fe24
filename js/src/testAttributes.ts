// Attributes of the root element that describe the picture, for tests and for style sheets.
//
// Stable names for tests:
//   .lljupyter                 the root, with
//     data-status              of the computation; "waiting" before the first meta
//     data-n-done              number of evaluated points
//     data-sequence            number of the latest frame
//     data-view                surface | contour: the view in use, which is contour without WebGL
//     data-plot                surface | contour | line | point: what is drawn
//     data-drawn-sequence      number of the last frame drawn
//     data-first-drawn-ms      time of the first picture with a value in it, in epoch milliseconds
//     data-range               "low high" of the height scale as drawn: log10 on a log scale
//     data-checkpoints         number of checkpoints of the training path that is drawn, 0 without one
//     data-stale               "true" while the picture belongs to an earlier range, seed or resolution
//     data-silent              "true" if the kernel does not answer
//     data-theme               light | dark
//   .ll-canvas, .ll-overlay    the picture, and the cursor over it; the overlay gets the pointer
//   .ll-readout                the values under the cursor, or at the center
//   .ll-inspect                the values at the clicked point; data-status (computing | done)
//   .ll-placeholder            text in place of the picture
//   .ll-message                messages over the picture
//   .ll-warnings               what to warn of: .ll-warning (the first), .ll-more ("2 more"), .ll-rest (the others)
//   .ll-error, .ll-live        error box (role=alert), polite live region
//   .ll-progress, .ll-bar      the progress as text and as a bar
//   .ll-resolution             the number of points
//   .ll-surface, .ll-contour, .ll-linear, .ll-log   buttons "3D" "Contour" "Linear" "Log" (aria-pressed)
//   .ll-hold, .ll-cancel, .ll-fullscreen            buttons "Pause" or "Resume", "Cancel", "Full screen"
//   .ll-preset, .ll-save-png, .ll-save-svg          buttons "Corner" "Top" "Front" "Side", "PNG", "SVG"
//   .ll-quantity, .ll-color, .ll-colormap, .ll-levels   selects
//   .ll-show-contours, .ll-show-points ...          a checkbox for every overlay
//   .ll-panel                  the panel of all controls (details, opens and folds); .ll-plane and .ll-style are its parts
//   aria-labels of inputs      "alpha minimum" "alpha maximum" "beta minimum" "beta maximum" "Seed" "Points along alpha"
//                              "Points along beta" "Lowest height" "Highest height"; sliders "lower end of alpha" "upper end
//                              of alpha" (and of beta) "Seed slider" "Resolution slider" "Clip"; buttons "Previous seed"
//                              "Next seed" "Play through seeds"

import type { ViewName } from "./model/controls.ts";
import type { Field } from "./model/field.ts";
import type { Path } from "./model/path.ts";
import type { Meta } from "./model/wire.ts";
import type { PlotName } from "./stage/stage.ts";

export function setStateAttributes(
  root: HTMLElement,
  meta: Meta | null,
  current: { view: ViewName; stale: boolean; silent: boolean },
): void {
  root.dataset.status = meta?.status ?? "waiting";
  root.dataset.nDone = String(meta?.n_done ?? 0);
  root.dataset.sequence = String(meta?.sequence ?? -1);
  root.dataset.view = current.view;
  root.dataset.stale = String(current.stale);
  root.dataset.silent = String(current.silent);
}

export const isDrawn = (root: HTMLElement, meta: Meta | null): boolean =>
  root.dataset.drawnSequence === String(meta?.sequence);

export function setSequenceAttribute(root: HTMLElement, meta: Meta | null): void {
  root.dataset.drawnSequence = String(meta?.sequence);
}

export function setDrawnAttributes(
  root: HTMLElement,
  plot: PlotName,
  field: Field,
  meta: Meta,
  path: Path | null,
): void {
  root.dataset.plot = plot;
  root.dataset.range = `${field.lo} ${field.hi}`;
  root.dataset.firstDrawnMs ??= String(Math.round(performance.timeOrigin + performance.now()));
  root.dataset.checkpoints = String(plot === "surface" || plot === "contour" ? (path?.checkpoints.length ?? 0) : 0);
  setSequenceAttribute(root, meta);
}
