// The viewer: an element and a small host in, `update(state)`, `answered()` and `destroy()` out. It does not know Jupyter.
//
// Hooks for tests (stable):
//   .lljupyter                 root; data-status ("waiting" before the first meta), data-n-done, data-sequence,
//                              data-view (surface | contour: the effective one), data-plot (surface | contour | line | point),
//                              data-drawn-sequence (last frame drawn), data-first-drawn-ms (epoch milliseconds of the first
//                              picture with a value in it), data-theme (light | dark), data-stale ("true" while the picture
//                              belongs to an earlier range, seed or resolution), data-silent ("true": no answer from the kernel)
//   .ll-canvas, .ll-overlay    the picture and the marks over it; the overlay gets the pointer
//   .ll-hover                  the value under the pointer, or at the center
//   .ll-progress               progress in words; .ll-bar the bar; .ll-resolution the number of points
//   .ll-message, .ll-error, .ll-note, .ll-live   skeleton text, error box (role=alert), chips, polite live region
//   .ll-surface .ll-contour .ll-linear .ll-log   buttons "3D" "Contour" "Linear" "Log" (aria-pressed)
//   .ll-hold                   aria-label "Pause" or "Resume"; .ll-cancel aria-label "Cancel"; .ll-fullscreen "Full screen"
//   .ll-quantity               select, aria-label "Quantity"
//   aria-labels of inputs      "alpha minimum" "alpha maximum" "beta minimum" "beta maximum" "Seed";
//                              sliders "lower end of alpha" "upper end of alpha" (and of beta), "Seed slider";
//                              buttons "Previous seed" "Next seed"

import css from "./style.css";
import { h, setText, toggle } from "./dom.ts";
import { makeField, type Field } from "./field.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { watchKeys } from "./keyboard.ts";
import { noteTexts, emptyText } from "./notes.ts";
import { makeProgress, spokenProgress } from "./progress.ts";
import { makeRange } from "./range.ts";
import { describeCenter, describePicture, describePoint } from "./readout.ts";
import { makeSeed } from "./seed.ts";
import { makeStage, type PlotName } from "./stage.ts";
import { makeToolbar } from "./toolbar.ts";
import { decodeFrame, isSamePlane, isStale, parseMeta, type Command, type Controls, type Meta, type Snapshot } from "./wire.ts";

export interface ViewState {
  frame: DataView | null;
  meta: unknown;
  controls: Controls;
}

export interface Host {
  /** Changes controls; the host tells the kernel and calls update() with the new state. */
  set(controls: Partial<Controls>): void;
  send(command: Command): void;
  /** False where nothing can be computed (a saved page): hides whatever would ask for it. */
  live: boolean;
}

export interface View {
  update(state: ViewState): void;
  /** The kernel gave a sign of life without a new state. */
  answered(): void;
  destroy(): void;
}

interface Shown {
  frame: DataView | null;
  meta: Meta | null;
  snapshot: Snapshot | null;
  snapshotMeta: Meta | null;
  fieldKey: string;
  field: Field | null;
}

export function createView(el: HTMLElement, host: Host, initial: ViewState): View {
  const abort = new AbortController();
  const { signal } = abort;
  const root = h("div", {
    class: "lljupyter",
    tabindex: 0,
    role: "group",
    "aria-label": "Loss landscape viewer",
    "data-lm-suppress-shortcuts": "true",
  });
  let state = initial;
  let silent = false;
  let showsPoint = false;
  const shown: Shown = { frame: null, meta: null, snapshot: null, snapshotMeta: null, fieldKey: "", field: null };

  const effectiveView = () => (stage.hasWebGL() ? state.controls.view : "contour");
  const isWaiting = () => host.live && (shown.meta === null || shown.meta.status === "running");
  const fullScreen = (): void => {
    if (document.fullscreenElement === root) void document.exitFullscreen();
    else void root.requestFullscreen?.().catch(() => undefined);
  };

  const hover = h("div", { class: "ll-hover" });
  const message = h("div", { class: "ll-message" }, h("div", { class: "ll-message-text" }));
  const notes = h("div", { class: "ll-notes" });
  const error = h("div", { class: "ll-error", role: "alert" });
  const live = h("div", { class: "ll-live", "aria-live": "polite", role: "status" });
  const resolution = h("span", { class: "ll-resolution" });

  const showPoint = (point: { row: number; column: number } | null): void => {
    showsPoint = point !== null;
    const { snapshot, field, meta } = shown;
    if (point && snapshot && field) setText(hover, describePoint(snapshot, field, point));
    else setText(hover, meta ? describeCenter(meta) : "");
  };
  const onDrawn = (plot: PlotName): void => {
    const { field, snapshotMeta } = shown;
    if (!field || !snapshotMeta) return;
    root.dataset["plot"] = plot;
    root.dataset["drawnSequence"] = String(snapshotMeta.sequence);
    root.dataset["firstDrawnMs"] ??= String(Math.round(performance.timeOrigin + performance.now()));
    stage.canvas.setAttribute("aria-label", describePicture(field, plot));
  };

  const stage = makeStage(root, { drawn: onDrawn, pointed: showPoint, noWebGL: () => render() }, signal);
  const toolbar = makeToolbar((c) => host.set(c), fullScreen);
  const progress = makeProgress((command) => host.send(command));
  const alpha = makeRange("alpha", (range) => host.set({ alpha: range }));
  const beta = makeRange("beta", (range) => host.set({ beta: range }));
  const seed = makeSeed((value) => host.set({ seed: value }));
  const panel = h("div", { class: "ll-panel" }, alpha.element, beta.element, seed.element);
  root.append(
    h("style", {}, css),
    toolbar.element,
    h("div", { class: "ll-stage" }, stage.element, message, notes),
    error,
    h("div", { class: "ll-foot" }, hover, resolution),
    progress.element,
    panel,
    live,
  );
  for (const element of [progress.element, panel]) toggle(element, host.live);

  /** Decodes and scales only what changed, so that a frame costs one pass over its points. */
  function refreshField(): void {
    const meta = parseMeta(state.meta);
    const before = shown.snapshotMeta;
    if (meta && before && state.frame === shown.frame && isSamePlane(meta, before)) {
      // The same bytes again, for instance with another status: the picture stands.
      shown.snapshotMeta = meta;
      if (root.dataset["drawnSequence"] === String(before.sequence)) root.dataset["drawnSequence"] = String(meta.sequence);
    } else if (meta && (state.frame !== shown.frame || meta !== shown.meta)) {
      shown.frame = state.frame;
      const snapshot = decodeFrame(state.frame, meta);
      // Bytes that do not fit, or a plane without any point yet, are left aside: the last picture is better than none.
      const isEmpty = snapshot?.layers.get("evaluated")?.every((e) => e === 0) ?? false;
      if (snapshot && !(isEmpty && before)) Object.assign(shown, { snapshot, snapshotMeta: meta, field: null });
    }
    if (meta) shown.meta = meta;
    const { snapshot, snapshotMeta } = shown;
    const key = `${state.controls.quantity} ${state.controls.scale}`;
    if (!snapshot || !snapshotMeta || (shown.field && shown.fieldKey === key)) return;
    shown.fieldKey = key;
    shown.field = makeField(snapshot, snapshotMeta.alpha, snapshotMeta.beta, state.controls.quantity, state.controls.scale);
  }

  function render(): void {
    refreshField();
    const { meta, field } = shown;
    const { controls } = state;
    const stale = host.live && shown.snapshotMeta !== null && isStale(shown.snapshotMeta, controls);
    root.dataset["status"] = meta?.status ?? "waiting";
    root.dataset["nDone"] = String(meta?.n_done ?? 0);
    root.dataset["sequence"] = String(meta?.sequence ?? -1);
    root.dataset["view"] = effectiveView();
    root.dataset["stale"] = String(stale);
    root.dataset["silent"] = String(silent);
    toolbar.update(meta, controls, effectiveView(), stage.hasWebGL());
    progress.update(meta);
    alpha.update(controls.alpha, controls.resolution[0] === 1);
    beta.update(controls.beta, controls.resolution[1] === 1);
    seed.update(controls.seed, meta?.seed === null);
    setText(resolution, `${controls.resolution[0]} × ${controls.resolution[1]} points`);
    stage.show(field, controls.view);
    const empty = emptyText(meta, field);
    setText(message.firstElementChild as Element, empty ?? "");
    toggle(message, empty !== null);
    message.classList.toggle("ll-skeleton", empty !== null && (meta === null || meta.status === "running"));
    const texts = noteTexts({ meta, field, stale, silent });
    if (notes.textContent !== texts.join("")) notes.replaceChildren(...texts.map((t) => h("span", { class: "ll-note" }, t)));
    setText(error, meta?.error ?? "");
    toggle(error, Boolean(meta?.error));
    if (meta) setText(live, spokenProgress(meta));
    if (!showsPoint) showPoint(null);
  }

  const heartbeat = startHeartbeat(isWaiting, () => host.send({ type: "pull" }), (isSilent) => {
    if (silent === isSilent) return;
    silent = isSilent;
    render();
  });
  watchKeys(root, {
    ...stage,
    isSpatial: () => root.dataset["plot"] === "surface",
    toggleView: () => stage.hasWebGL() && host.set({ view: state.controls.view === "surface" ? "contour" : "surface" }),
    toggleScale: () => host.set({ scale: state.controls.scale === "log" ? "linear" : "log" }),
    togglePause: () => {
      const button = progress.element.querySelector<HTMLButtonElement>(".ll-hold");
      if (host.live && button && !button.hidden) button.click();
    },
    fullScreen,
    escape: () => stage.clearMark(),
  }, signal);

  render();
  el.append(root);
  return {
    update(next) {
      const isNews = next.meta !== state.meta || next.frame !== state.frame;
      state = next;
      if (isNews) heartbeat.arrived();
      render();
    },
    answered: () => heartbeat.arrived(),
    destroy() {
      abort.abort();
      heartbeat.destroy();
      root.remove();
    },
  };
}
