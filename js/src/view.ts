// The viewer: an element and a small host in, `update(state)`, `answered()` and `destroy()` out. It does not know Jupyter.
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

import css from "./style.css";
import { makeCaptions } from "./captions.ts";
import { h, toggle } from "./dom.ts";
import { alphaAt, betaAt } from "./field.ts";
import { joinGroup, type Group } from "./group.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { watchKeys } from "./keyboard.ts";
import { makePanel } from "./panel.ts";
import { makeProbe } from "./probe.ts";
import { makeProgress } from "./progress.ts";
import { describePicture } from "./readout.ts";
import { fileName, savePNG, saveSVG } from "./save.ts";
import { nothing, rangesOf, takeControls, takeFrame } from "./shown.ts";
import { makeStage, type PlotName } from "./stage.ts";
import { makeToolbar } from "./toolbar.ts";
import { SHARED, isStale, type Command, type Controls } from "./wire.ts";

export interface ViewState {
  frame: DataView | null;
  meta: unknown;
  controls: Controls;
  /** Landscapes with the same name are compared: one scale, one camera. */
  group: string;
  /** The heading; empty for the name of the model. */
  title: string;
  /** What was found at the point that was looked at last. */
  probe?: unknown;
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
  /** The kernel may be gone: it is asked for a sign of life. */
  doubt(): void;
  destroy(): void;
}

const onlyShared = (controls: Partial<Controls>): Partial<Controls> =>
  Object.fromEntries(Object.entries(controls).filter(([name]) => (SHARED as readonly string[]).includes(name)));

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
  let doubtful = false;
  let group: Group | null = null;
  let camera = "{}";
  let cameraTrait = "{}";
  const shown = nothing();

  const effectiveView = () => (stage.hasWebGL() ? state.controls.view : "contour");
  const isSpatial = () => effectiveView() === "surface" && ![0, 1].includes(Math.min(shown.field?.nAlpha ?? 0, shown.field?.nBeta ?? 0));
  const staleNow = () => host.live && shown.snapshotMeta !== null && isStale(shown.snapshotMeta, state.controls);
  const isWaiting = () => host.live && (doubtful || shown.meta === null || shown.meta.status === "running" || staleNow());
  const set = (controls: Partial<Controls>): void => {
    host.set(controls);
    group?.share(onlyShared(controls));
  };
  const fullScreen = (): void => {
    if (document.fullscreenElement === root) void document.exitFullscreen();
    else void root.requestFullscreen?.().catch(() => undefined);
  };
  const save = (kind: "png" | "svg"): void => {
    const name = fileName(state.title || (shown.meta?.title ?? ""), root.dataset["plot"] ?? "landscape", kind);
    if (kind === "png") {
      const picture = stage.picture();
      if (picture) savePNG(picture, name);
      return;
    }
    const text = stage.svg();
    if (text) saveSVG(text, name);
  };

  const pathShown = () => (state.controls.show_path ? shown.path : null);
  const what = () => ({ meta: shown.meta, field: shown.field, snapshot: shown.snapshot, path: pathShown() });
  const onDrawn = (plot: PlotName): void => {
    const { field, snapshotMeta } = shown;
    if (!field || !snapshotMeta) return;
    root.dataset["plot"] = plot;
    root.dataset["range"] = `${field.lo} ${field.hi}`;
    root.dataset["drawnSequence"] = String(snapshotMeta.sequence);
    root.dataset["firstDrawnMs"] ??= String(Math.round(performance.timeOrigin + performance.now()));
    stage.canvas.setAttribute("aria-label", describePicture(field, plot, pathShown()));
    root.dataset["checkpoints"] = String(plot === "surface" || plot === "contour" ? (pathShown()?.checkpoints.length ?? 0) : 0);
  };

  const stage = makeStage(
    root,
    {
      drawn: onDrawn,
      chosen(point) {
        const { field } = shown;
        if (host.live && field && !staleNow()) host.send({ type: "probe", alpha: alphaAt(field, point.column), beta: betaAt(field, point.row) });
      },
      pointed: (point) => captions.point(point, what()),
      noWebGL: () => render(),
      moved(to, settled) {
        camera = JSON.stringify(to);
        if (settled) set({ camera: to });
        else group?.look(to);
      },
    },
    signal,
  );
  const toolbar = makeToolbar(set, fullScreen);
  const progress = makeProgress((command) => host.send(command));
  const captions = makeCaptions();
  const probe = makeProbe();
  const panel = makePanel({ set, preset: stage.preset, save }, host.live);
  root.append(
    h("style", {}, css),
    toolbar.element,
    h("div", { class: "ll-stage" }, stage.element, ...captions.over),
    captions.error,
    captions.foot,
    probe.element,
    progress.element,
    panel.element,
    captions.live,
  );
  toggle(progress.element, host.live);

  function refresh(): void {
    const drawn = root.dataset["drawnSequence"] === String(shown.snapshotMeta?.sequence);
    const before = shown.field;
    takeFrame(shown, state.frame, state.meta);
    if (drawn && shown.field && shown.field === before) root.dataset["drawnSequence"] = String(shown.snapshotMeta?.sequence);
    const common = (key: string) => group?.common(key) ?? null;
    takeControls(shown, state.controls, common);
    if (!group) return;
    // What this landscape asks for may widen the range of all of them, its own picture included.
    group.announce();
    takeControls(shown, state.controls, common);
  }

  function render(): void {
    refresh();
    const { meta, field, snapshot } = shown;
    const { controls } = state;
    const stale = staleNow();
    root.dataset["status"] = meta?.status ?? "waiting";
    root.dataset["nDone"] = String(meta?.n_done ?? 0);
    root.dataset["sequence"] = String(meta?.sequence ?? -1);
    root.dataset["view"] = effectiveView();
    root.dataset["stale"] = String(stale);
    root.dataset["silent"] = String(silent);
    toolbar.update(state.title, meta, controls, effectiveView(), stage.hasWebGL());
    progress.update(meta);
    probe.update(state.probe);
    panel.update(controls, { meta, field, stale, spatial: isSpatial() });
    const { path, marks } = shown;
    stage.show({ field, snapshot, view: controls.view, colormap: controls.colormap, look: panel.overlays(controls), path, marks });
    // The trait follows a moved camera only once that rests: until then, what it still says is not to be done.
    const wanted = JSON.stringify(controls.camera);
    if (wanted !== cameraTrait && wanted !== camera) stage.look(controls.camera);
    if (wanted !== cameraTrait) camera = cameraTrait = wanted;
    const [nBeta, nAlpha] = meta?.shape ?? [0, 0];
    captions.update({ ...what(), stale, silent, gone: silent && doubtful, points: host.live ? controls.resolution : [nAlpha, nBeta] });
  }

  /** Joins the landscapes this one is compared with, or leaves them. */
  function regroup(): void {
    group?.leave();
    group = state.group
      ? joinGroup(state.group, {
          ranges: () => rangesOf(shown.field),
          refresh: () => render(),
          look(to) {
            camera = JSON.stringify(to);
            stage.look(to);
          },
          apply(controls) {
            // A quantity that this landscape lacks is no choice for it.
            const has = (name: string | null | undefined) => !name || !shown.snapshot || shown.snapshot.layers.has(name);
            if (has(controls.quantity) && has(controls.color)) host.set(controls);
          },
        })
      : null;
  }

  const heartbeat = startHeartbeat(isWaiting, () => host.send({ type: "pull" }), (isSilent) => {
    if (silent === isSilent) return;
    silent = isSilent;
    render();
  });
  const arrived = (): void => {
    doubtful = false;
    heartbeat.arrived();
  };
  watchKeys(root, {
    ...stage,
    isSpatial: () => root.dataset["plot"] === "surface",
    toggleView: () => stage.hasWebGL() && set({ view: state.controls.view === "surface" ? "contour" : "surface" }),
    toggleScale: () => set({ scale: state.controls.scale === "log" ? "linear" : "log" }),
    togglePath: () => shown.path && set({ show_path: !state.controls.show_path }),
    togglePause: () => {
      const button = progress.element.querySelector<HTMLButtonElement>(".ll-hold");
      if (host.live && button && !button.hidden) button.click();
    },
    fullScreen,
    escape: () => stage.clearMark(),
  }, signal);

  regroup();
  render();
  el.append(root);
  return {
    update(next) {
      const isNews = next.meta !== state.meta || next.frame !== state.frame;
      const moves = next.group !== state.group;
      state = next;
      if (moves) regroup();
      if (isNews) arrived();
      render();
    },
    answered: arrived,
    doubt() {
      doubtful = true;
    },
    destroy() {
      group?.leave();
      abort.abort();
      heartbeat.destroy();
      panel.destroy();
      root.remove();
    },
  };
}
