// Keys of the viewer. They work while the viewer has the focus, except inside text fields and lists.

export interface Keys {
  orbit(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number): void;
  reset(): void;
  step(dColumn: number, dRow: number): void;
  preset(index: number): void;
  isSpatial(): boolean;
  toggleView(): void;
  toggleScale(): void;
  togglePath(): void;
  /** Move the cursor to the next checkpoint of the training path, or to the previous one. */
  stepPath(by: 1 | -1): void;
  togglePause(): void;
  fullScreen(): void;
  /** Inspect the point under the cursor. */
  inspect(): void;
  escape(): void;
}

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function handle(event: KeyboardEvent, keys: Keys): boolean {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const [dx, dy] = arrow;
    if (!keys.isSpatial()) keys.step(dx, -dy);
    else if (event.shiftKey) keys.pan(dx * 24, dy * 24);
    else keys.orbit(dx * 12, dy * 12);
    return true;
  }
  const actions: Record<string, () => void> = {
    "+": () => keys.zoom(1.15),
    "=": () => keys.zoom(1.15),
    "-": () => keys.zoom(1 / 1.15),
    r: () => keys.reset(),
    c: () => keys.toggleView(),
    l: () => keys.toggleScale(),
    t: () => keys.togglePath(),
    ".": () => keys.stepPath(1),
    ",": () => keys.stepPath(-1),
    p: () => keys.togglePause(),
    f: () => keys.fullScreen(),
    escape: () => keys.escape(),
    enter: () => keys.inspect(),
    1: () => keys.preset(0),
    2: () => keys.preset(1),
    3: () => keys.preset(2),
    4: () => keys.preset(3),
  };
  const action = actions[event.key.toLowerCase()];
  action?.();
  return action !== undefined;
}

export function watchKeys(root: HTMLElement, keys: Keys, signal: AbortSignal): void {
  root.addEventListener(
    "keydown",
    (event) => {
      const target = event.target as HTMLElement;
      const typing = target.matches("input:not([type=checkbox]), select, textarea");
      // Inside JupyterLab the change event of the browser on Enter may be missing.
      if (event.key === "Enter" && target.matches("input[type=number]"))
        target.dispatchEvent(new Event("change", { bubbles: true }));
      if (event.key === "Enter" && target.matches("button, summary, a, input, select, textarea")) return;
      if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== "Escape")) return;
      if (handle(event, keys)) event.preventDefault();
    },
    { signal },
  );
}
