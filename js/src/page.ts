// The script of a saved page. It is in one module with the viewer, whose default export is `lljupyterViewer`, and
// stands in for the missing kernel: it makes a model for each landscape from the JSON in the page.

interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, callback: () => void): void;
  off(event: string, callback: () => void): void;
  send(content: unknown): void;
}

declare const lljupyterViewer: { render(context: { model: Model; el: HTMLElement }): unknown };

/**
 * `frame` is base64 of a zlib stream of the bytes of the frame, sorted: the lowest byte of every number, then the
 * next ones.
 */
interface Saved {
  traits: Record<string, unknown>;
  frame: string;
}

async function unpack(text: string): Promise<DataView> {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const frame = new Uint8Array(planes.length);
  const n = planes.length / 4;
  for (let i = 0; i < planes.length; i++) frame[4 * (i % n) + Math.floor(i / n)] = planes[i] ?? 0;
  return new DataView(frame.buffer);
}

function makeModel(traits: Record<string, unknown>): Model {
  const listeners = new Map<string, Set<() => void>>();
  return {
    get: (name) => traits[name],
    set(name, value) {
      traits[name] = value;
      for (const callback of [...(listeners.get(`change:${name}`) ?? [])]) callback();
    },
    save_changes: () => undefined,
    on: (event, callback) => void (listeners.get(event) ?? listeners.set(event, new Set()).get(event))?.add(callback),
    off: (event, callback) => void listeners.get(event)?.delete(callback),
    send: () => undefined,
  };
}

async function show(el: HTMLElement, { traits, frame }: Saved): Promise<void> {
  try {
    lljupyterViewer.render({ model: makeModel({ ...traits, frame: await unpack(frame) }), el });
  } catch (error) {
    el.textContent = `The picture needs a newer browser (${String(error)}).`;
  }
}

const saved = JSON.parse(document.getElementById("landscapes")?.textContent ?? "[]") as Saved[];
document.querySelectorAll<HTMLElement>(".landscape").forEach((el, i) => {
  const landscape = saved[i];
  if (landscape) void show(el, landscape);
});
