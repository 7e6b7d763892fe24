// Connect an anywidget model to the viewer. No other file knows the model.

import { type Controls, DEFAULTS } from "./model/controls.ts";
import { createView, type ViewState } from "./view.ts";

/** The part of the model of anywidget that is used. */
interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
  send(content: unknown): void;
}

const CONTROLS = Object.keys(DEFAULTS) as (keyof Controls)[];
const EVENTS = ["frame", "meta", "group", "title", "probe", ...CONTROLS].map((name) => `change:${name}`);
const views = new WeakMap<object, DataView>();

/**
 * Return bytes as a DataView, the same object for the same bytes. Jupyter sends a DataView, other hosts an array or a
 * buffer.
 */
function toDataView(bytes: unknown): DataView | null {
  if (bytes instanceof DataView) return bytes;
  if (!(bytes instanceof ArrayBuffer) && !ArrayBuffer.isView(bytes)) return null;
  const known = views.get(bytes);
  if (known) return known;
  const view =
    bytes instanceof ArrayBuffer ? new DataView(bytes) : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  views.set(bytes, view);
  return view;
}

/** Read the state of the model. A host with an older or no kernel may lack some traits; they have their defaults. */
function readState(model: Model): ViewState {
  const given = CONTROLS.map((name) => [name, model.get(name)] as const).filter(
    ([, value]) => value !== undefined && value !== null,
  );
  return {
    frame: toDataView(model.get("frame")),
    meta: model.get("meta"),
    controls: { ...DEFAULTS, ...(Object.fromEntries(given) as Partial<Controls>) },
    group: String(model.get("group") ?? ""),
    title: String(model.get("title") ?? ""),
    inspected: model.get("probe"),
  };
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const view = createView(
    el,
    {
      live: model.get("live") !== false,
      set(controls) {
        for (const [name, value] of Object.entries(controls)) model.set(name, value);
        attempt(() => model.save_changes());
        update();
      },
      send: (command) => attempt(() => model.send(command)),
    },
    readState(model),
  );
  /** Once the kernel is gone, models of Jupyter throw when they send; the picture continues without it. */
  function attempt(send: () => void): void {
    try {
      send();
    } catch {
      queueMicrotask(() => alive && view.doubt());
    }
  }
  let alive = true;
  let queued = false;
  // One message from Python fires several events; read the state once, after the last of them.
  const update = (): void => {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      if (alive) view.update(readState(model));
    });
  };
  for (const event of EVENTS) model.on(event, update);
  // A kernel without news may answer a pull with any message.
  const answered = (): void => view.answered();
  model.on("msg:custom", answered);
  // The kernel restarted or came back; the model does not say which, so ask the kernel.
  const connection = (): void => view.doubt();
  model.on("comm_live_update", connection);
  return () => {
    alive = false;
    model.off("msg:custom", answered);
    model.off("comm_live_update", connection);
    for (const event of EVENTS) model.off(event, update);
    view.destroy();
  };
}

export default { render };
