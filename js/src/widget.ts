// The Jupyter side: connects an anywidget model to the viewer. Nothing else here knows the model.

import type { Controls } from "./wire.ts";
import { createView, type ViewState } from "./view.ts";

/** The part of anywidget's model that is used. */
interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
  send(content: unknown): void;
}

const CONTROLS = ["alpha", "beta", "seed", "resolution", "view", "scale", "quantity"] as const;
const EVENTS = ["frame", "meta", ...CONTROLS].map((name) => `change:${name}`);
const views = new WeakMap<object, DataView>();

const DEFAULTS: Controls = {
  alpha: [-1, 1],
  beta: [-1, 1],
  seed: 0,
  resolution: [51, 51],
  view: "surface",
  scale: "linear",
  quantity: "loss",
};

/** Jupyter hands bytes over as a DataView, other hosts as an array or a bare buffer. The same bytes give the same object. */
function toDataView(bytes: unknown): DataView | null {
  if (bytes instanceof DataView) return bytes;
  if (!(bytes instanceof ArrayBuffer) && !ArrayBuffer.isView(bytes)) return null;
  const known = views.get(bytes);
  if (known) return known;
  const view = bytes instanceof ArrayBuffer ? new DataView(bytes) : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  views.set(bytes, view);
  return view;
}

function readState(model: Model): ViewState {
  const given = CONTROLS.map((name) => [name, model.get(name)] as const).filter(([, value]) => value !== undefined && value !== null);
  return {
    frame: toDataView(model.get("frame")),
    meta: model.get("meta"),
    controls: { ...DEFAULTS, ...(Object.fromEntries(given) as Partial<Controls>) },
  };
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const view = createView(
    el,
    {
      live: true,
      set(controls) {
        for (const [name, value] of Object.entries(controls)) model.set(name, value);
        model.save_changes();
        update();
      },
      send: (command) => model.send(command),
    },
    readState(model),
  );
  let alive = true;
  let queued = false;
  // One message from Python fires several events; the state is read once, after the last of them.
  const update = (): void => {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      if (alive) view.update(readState(model));
    });
  };
  for (const event of EVENTS) model.on(event, update);
  // A kernel with nothing new to say may answer a pull with any message.
  const answered = (): void => view.answered();
  model.on("msg:custom", answered);
  return () => {
    alive = false;
    model.off("msg:custom", answered);
    for (const event of EVENTS) model.off(event, update);
    view.destroy();
  };
}

export default { render };
