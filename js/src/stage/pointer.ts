// Pointer gestures on the picture: drag to orbit, shift or right drag to pan, two fingers or (with focus) the wheel
// to zoom.

export interface Gestures {
  orbit(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number): void;
  reset(): void;
  /** The pointer is at this point of the canvas (CSS pixels) without a button, or has left it (null). */
  hover(at: [number, number] | null): void;
  /** A click, after hover: inspect the point under the cursor. */
  inspect(): void;
  /** True if the picture turns and zooms, false for a flat one. */
  isSpatial(): boolean;
}

export function watchPointer(canvas: HTMLElement, root: HTMLElement, gestures: Gestures, signal: AbortSignal): void {
  const pointers = new Map<number, [number, number]>();
  let moved = false;

  const position = (event: MouseEvent): [number, number] => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const spread = (): number => {
    const [a, b] = [...pointers.values()];
    return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 0;
  };

  const drag = (event: PointerEvent, from: [number, number], to: [number, number]): void => {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    if (pointers.size > 1) {
      const before = spread();
      pointers.set(event.pointerId, to);
      if (before > 0) gestures.zoom(spread() / before);
      return;
    }
    pointers.set(event.pointerId, to);
    moved ||= Math.abs(dx) + Math.abs(dy) > 0;
    if (event.shiftKey || (event.buttons & 6) !== 0) gestures.pan(dx, dy);
    else gestures.orbit(dx, dy);
  };

  const on = <K extends keyof HTMLElementEventMap>(
    type: K,
    listener: (event: HTMLElementEventMap[K]) => void,
    passive = true,
  ): void => canvas.addEventListener(type, listener, { signal, passive });

  on("pointerdown", (event) => {
    root.focus({ preventScroll: true });
    moved = false;
    if (!gestures.isSpatial()) {
      gestures.hover(position(event));
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, position(event));
    canvas.classList.add("ll-dragging");
  });
  on("pointermove", (event) => {
    const from = pointers.get(event.pointerId);
    if (from) {
      if (moved) gestures.hover(null);
      drag(event, from, position(event));
    } else gestures.hover(position(event));
  });
  const end = (event: PointerEvent): void => {
    const tapped = pointers.delete(event.pointerId) && !moved && event.type === "pointerup";
    if (pointers.size === 0) canvas.classList.remove("ll-dragging");
    if (tapped) gestures.hover(position(event));
  };
  on("pointerup", end);
  on("pointercancel", end);
  on("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !pointers.has(event.pointerId)) gestures.hover(null);
  });
  on("click", () => !moved && gestures.inspect());
  on("dblclick", () => gestures.reset());
  on("contextmenu", (event) => gestures.isSpatial() && event.preventDefault(), false);
  on(
    "wheel",
    (event) => {
      // The page scrolls unless the viewer has the focus.
      if (!gestures.isSpatial() || !root.contains(document.activeElement)) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      gestures.zoom(Math.exp(-event.deltaY * lines * 0.0015));
    },
    false,
  );
}
