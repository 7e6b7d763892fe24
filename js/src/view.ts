// The viewer: an element and a small host in, `update(state)`, `answered()` and `destroy()` out. It does not know Jupyter.

import { type Group, joinGroup } from "./group.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { alphaAt, betaAt } from "./model/field.ts";
import { describePicture } from "./model/readout.ts";
import { nothing, rangesOf, takeControls, takeFrame } from "./model/state.ts";
import { type Command, type Controls, isStale, SHARED } from "./model/wire.ts";
import { h, toggle } from "./panel/dom.ts";
import { makeProbe } from "./panel/inspect.ts";
import { makeCaptions } from "./panel/messages.ts";
import { makePanel } from "./panel/panel.ts";
import { makeProgress } from "./panel/progress.ts";
import { makeToolbar } from "./panel/toolbar.ts";
import { watchKeys } from "./stage/keyboard.ts";
import { savePicture } from "./stage/save.ts";
import { makeStage, type PlotName } from "./stage/stage.ts";
import css from "./style.css";
import { isDrawn, tellDrawn, tellSequence, tellState } from "./testAttributes.ts";

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
  const isSpatial = () =>
    effectiveView() === "surface" && ![0, 1].includes(Math.min(shown.field?.nAlpha ?? 0, shown.field?.nBeta ?? 0));
  const staleNow = () => host.live && shown.snapshotMeta !== null && isStale(shown.snapshotMeta, state.controls);
  const isWaiting = () =>
    host.live && (doubtful || shown.meta === null || shown.meta.status === "running" || staleNow());
  const set = (controls: Partial<Controls>): void => {
    host.set(controls);
    group?.share(onlyShared(controls));
  };
  const fullScreen = (): void => {
    if (document.fullscreenElement === root) void document.exitFullscreen();
    else void root.requestFullscreen?.().catch(() => undefined);
  };
  const save = (kind: "png" | "svg"): void =>
    savePicture(stage, kind, state.title || (shown.meta?.title ?? ""), root.dataset.plot);

  const pathShown = () => (state.controls.show_path ? shown.path : null);
  const what = () => ({ meta: shown.meta, field: shown.field, snapshot: shown.snapshot, path: pathShown() });
  const onDrawn = (plot: PlotName): void => {
    const { field, snapshotMeta } = shown;
    if (!field || !snapshotMeta) return;
    tellDrawn(root, plot, field, snapshotMeta, pathShown());
    stage.canvas.setAttribute("aria-label", describePicture(field, plot, pathShown()));
  };

  const stage = makeStage(
    root,
    {
      drawn: onDrawn,
      chosen(point) {
        const { field } = shown;
        if (host.live && field && !staleNow())
          host.send({ type: "probe", alpha: alphaAt(field, point.column), beta: betaAt(field, point.row) });
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
    const drawn = isDrawn(root, shown.snapshotMeta);
    const before = shown.field;
    takeFrame(shown, state.frame, state.meta);
    if (drawn && shown.field && shown.field === before) tellSequence(root, shown.snapshotMeta);
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
    tellState(root, meta, { view: effectiveView(), stale, silent });
    toolbar.update(state.title, meta, controls, effectiveView(), stage.hasWebGL());
    progress.update(meta, field?.quantity ?? controls.quantity);
    probe.update(state.probe);
    panel.update(controls, { meta, field, stale, spatial: isSpatial() });
    const { path, marks } = shown;
    stage.show({
      field,
      snapshot,
      view: controls.view,
      colormap: controls.colormap,
      look: panel.overlays(controls),
      path,
      marks,
    });
    // The trait follows a moved camera only once that rests: until then, what it still says is not to be done.
    const wanted = JSON.stringify(controls.camera);
    if (wanted !== cameraTrait && wanted !== camera) stage.look(controls.camera);
    if (wanted !== cameraTrait) camera = cameraTrait = wanted;
    const [nBeta, nAlpha] = meta?.shape ?? [0, 0];
    captions.update({
      ...what(),
      stale,
      silent,
      gone: silent && doubtful,
      points: host.live ? controls.resolution : [nAlpha, nBeta],
    });
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
            const has = (name: string | null | undefined) =>
              !name || !shown.snapshot || shown.snapshot.layers.has(name);
            if (has(controls.quantity) && has(controls.color)) host.set(controls);
          },
        })
      : null;
  }

  const heartbeat = startHeartbeat(
    isWaiting,
    () => host.send({ type: "pull" }),
    (isSilent) => {
      if (silent === isSilent) return;
      silent = isSilent;
      render();
    },
  );
  const arrived = (): void => {
    doubtful = false;
    heartbeat.arrived();
  };
  watchKeys(
    root,
    {
      ...stage,
      isSpatial: () => root.dataset.plot === "surface",
      toggleView: () => stage.hasWebGL() && set({ view: state.controls.view === "surface" ? "contour" : "surface" }),
      toggleScale: () => set({ scale: state.controls.scale === "log" ? "linear" : "log" }),
      togglePath: () => shown.path && set({ show_path: !state.controls.show_path }),
      togglePause: () => {
        const button = progress.element.querySelector<HTMLButtonElement>(".ll-hold");
        if (host.live && button && !button.hidden) button.click();
      },
      fullScreen,
      escape: () => stage.clearMark(),
    },
    signal,
  );

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
