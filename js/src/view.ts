// The viewer: takes an element and a small host, returns `update(state)`, `answered()`, `doubt()` and `destroy()`. It
// does not know Jupyter.

import { type Group, joinGroup } from "./group.ts";
import { startHeartbeat } from "./heartbeat.ts";
import { type Controls, isStale, STYLE } from "./model/controls.ts";
import { alphaAt, betaAt } from "./model/field.ts";
import { emptyState, rangesOf, takeControls, takeFrame } from "./model/state.ts";
import type { Command } from "./model/wire.ts";
import { h, toggle } from "./panel/dom.ts";
import { makeInspection } from "./panel/inspect.ts";
import { makeMessages } from "./panel/messages.ts";
import { makePanel } from "./panel/panel.ts";
import { makeProgress } from "./panel/progress.ts";
import { describePicture } from "./panel/readout.ts";
import { makeToolbar } from "./panel/toolbar.ts";
import { makeWarnings } from "./panel/warnings.ts";
import { savePicture } from "./stage/export.ts";
import { watchKeys } from "./stage/keyboard.ts";
import { makeStage, type PlotName } from "./stage/stage.ts";
import css from "./style.css";
import { isDrawn, setDrawnAttributes, setSequenceAttribute, setStateAttributes } from "./testAttributes.ts";

export interface ViewState {
  frame: DataView | null;
  meta: unknown;
  controls: Controls;
  /** Landscapes with the same group are compared: one scale, one camera. */
  group: string;
  /** The heading; the name of the model if empty. */
  title: string;
  /** The values at the point that was inspected last. */
  inspected?: unknown;
}

export interface Host {
  /** Change controls; the host sends them to the kernel and calls update() with the new state. */
  set(controls: Partial<Controls>): void;
  send(command: Command): void;
  /** False if nothing can be computed (a saved page); hides every control that would need it. */
  live: boolean;
}

export interface View {
  update(state: ViewState): void;
  /** The kernel answered without a new state. */
  answered(): void;
  /** The kernel may be gone: ask it for an answer. */
  doubt(): void;
  destroy(): void;
}

const onlyShared = (controls: Partial<Controls>): Partial<Controls> =>
  Object.fromEntries(Object.entries(controls).filter(([name]) => name in STYLE));

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
  const picture = emptyState();

  const effectiveView = () => (stage.hasWebGL() ? state.controls.view : "contour");
  const isSpatial = () =>
    effectiveView() === "surface" && ![0, 1].includes(Math.min(picture.field?.nAlpha ?? 0, picture.field?.nBeta ?? 0));
  const staleNow = () => host.live && picture.snapshotMeta !== null && isStale(picture.snapshotMeta, state.controls);
  const isWaiting = () =>
    host.live && (doubtful || picture.meta === null || picture.meta.status === "running" || staleNow());
  const set = (controls: Partial<Controls>): void => {
    host.set(controls);
    group?.share(onlyShared(controls));
  };
  const fullScreen = (): void => {
    if (document.fullscreenElement === root) void document.exitFullscreen();
    else void root.requestFullscreen?.().catch(() => undefined);
  };
  const save = (kind: "png" | "svg"): void =>
    savePicture(stage, kind, state.title || (picture.meta?.title ?? ""), root.dataset.plot);

  const pathShown = () => (state.controls.show_path ? picture.path : null);
  const drawn = () => ({ meta: picture.meta, field: picture.field, snapshot: picture.snapshot, path: pathShown() });
  const onDrawn = (plot: PlotName): void => {
    const { field, snapshotMeta } = picture;
    if (!field || !snapshotMeta) return;
    setDrawnAttributes(root, plot, field, snapshotMeta, pathShown());
    stage.canvas.setAttribute(
      "aria-label",
      describePicture(field, plot, pathShown(), picture.snapshot?.failed?.at.size),
    );
  };

  const stage = makeStage(
    root,
    {
      drawn: onDrawn,
      inspected(point) {
        const { field } = picture;
        if (host.live && field && !staleNow())
          host.send({ type: "probe", alpha: alphaAt(field, point.column), beta: betaAt(field, point.row) });
      },
      cursorMoved: (point) => messages.describe(point, drawn()),
      noWebGL: () => render(),
      moved(to, settled) {
        camera = JSON.stringify(to);
        if (settled) set({ camera: to });
        else group?.shareCamera(to);
      },
    },
    signal,
  );
  const toolbar = makeToolbar(set, fullScreen);
  const progress = makeProgress((command) => host.send(command));
  const messages = makeMessages();
  const warnings = makeWarnings();
  const inspection = makeInspection();
  const panel = makePanel({ set, preset: stage.preset, save }, host.live);
  root.append(
    h("style", {}, css),
    toolbar.element,
    h("div", { class: "ll-stage" }, stage.element, ...messages.over),
    messages.error,
    warnings.element,
    messages.foot,
    inspection.element,
    progress.element,
    panel.element,
    messages.live,
  );
  toggle(progress.element, host.live);

  function refresh(): void {
    const drawn = isDrawn(root, picture.snapshotMeta);
    const before = picture.field;
    takeFrame(picture, state.frame, state.meta);
    if (drawn && picture.field && picture.field === before) setSequenceAttribute(root, picture.snapshotMeta);
    const common = (key: string) => group?.common(key) ?? null;
    takeControls(picture, state.controls, common);
    if (!group) return;
    // This landscape may widen the ranges of all of them, its own included.
    group.announce();
    takeControls(picture, state.controls, common);
  }

  function render(): void {
    refresh();
    const { meta, field, snapshot } = picture;
    const { controls } = state;
    const stale = staleNow();
    setStateAttributes(root, meta, { view: effectiveView(), stale, silent });
    toolbar.update(state.title, meta, controls, effectiveView(), stage.hasWebGL());
    progress.update(meta, field?.quantity ?? controls.quantity);
    warnings.update(meta);
    inspection.update(state.inspected);
    panel.update(controls, { meta, field, stale, spatial: isSpatial() });
    const { path, marks } = picture;
    stage.show({
      field,
      snapshot,
      view: controls.view,
      colormap: controls.colormap,
      overlays: panel.overlays(controls),
      path,
      marks,
    });
    // The trait follows a moved camera only once it rests; until then its old value must not move the camera back.
    const wanted = JSON.stringify(controls.camera);
    if (wanted !== cameraTrait && wanted !== camera) stage.setCamera(controls.camera);
    if (wanted !== cameraTrait) camera = cameraTrait = wanted;
    const [nBeta, nAlpha] = meta?.shape ?? [0, 0];
    messages.update({
      ...drawn(),
      stale,
      silent,
      gone: silent && doubtful,
      points: host.live ? controls.resolution : [nAlpha, nBeta],
    });
  }

  /** Join the landscapes that this one is compared with, or leave them. */
  function regroup(): void {
    group?.leave();
    group = state.group
      ? joinGroup(state.group, {
          ranges: () => rangesOf(picture.field),
          refresh: () => render(),
          setCamera(to) {
            camera = JSON.stringify(to);
            stage.setCamera(to);
          },
          apply(controls) {
            // Ignore a quantity that this landscape does not have.
            const has = (name: string | null | undefined) =>
              !name || !picture.snapshot || picture.snapshot.layers.has(name);
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
      togglePath: () => picture.path && set({ show_path: !state.controls.show_path }),
      togglePause: () => {
        const button = progress.element.querySelector<HTMLButtonElement>(".ll-hold");
        if (host.live && button && !button.hidden) button.click();
      },
      fullScreen,
      escape: () => stage.clearCursor(),
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
