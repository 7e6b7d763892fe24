// The number of grid points: one slider for both axes, and a number input for each.

import { h } from "./dom.ts";

/** More points per axis would take too long. */
const LARGEST = 1001;
const SLIDER_MAX = 151;

/** Return a valid number of points along an axis, or null. */
export function parseCount(text: string): number | null {
  const value = Number(text.trim() === "" ? NaN : text);
  return Number.isInteger(value) && value >= 1 && value <= LARGEST ? value : null;
}

export interface ResolutionControl {
  element: HTMLElement;
  update(resolution: [number, number], single: [boolean, boolean]): void;
}

export function makeResolution(commit: (resolution: [number, number]) => void): ResolutionControl {
  const slider = h("input", {
    type: "range",
    class: "ll-slider",
    "aria-label": "Resolution slider",
    min: 3,
    max: SLIDER_MAX,
    step: 2,
  });
  const number = (label: string) => h("input", { type: "number", "aria-label": label, min: 1, max: LARGEST, step: 1 });
  const numbers = [number("Points along alpha"), number("Points along beta")] as const;
  const element = h(
    "div",
    { class: "ll-points", role: "group", "aria-label": "Resolution" },
    h("span", { class: "ll-label" }, "points"),
    numbers[0],
    h("span", { "aria-hidden": "true" }, "×"),
    numbers[1],
    slider,
  );
  let current: [number, number] = [51, 51];
  let fixed: [boolean, boolean] = [false, false];
  let dragging = false;

  const show = (): void => {
    numbers.forEach((input, i) => {
      input.value = String(current[i]);
    });
    slider.value = String(Math.max(...current));
  };
  const settle = (next: [number, number]): void => {
    dragging = false;
    const changed = `${next}` !== `${current}`;
    current = next;
    show();
    if (changed) commit(next);
  };
  /** An axis whose range is a single value keeps its single point. */
  const keep = (i: 0 | 1, count: number): number => (fixed[i] ? 1 : count);
  slider.addEventListener("input", () => {
    dragging = true;
    numbers.forEach((input, i) => {
      input.value = String(current[i] === 1 ? 1 : slider.value);
    });
  });
  slider.addEventListener("change", () => {
    const count = Number(slider.value);
    settle([current[0] === 1 ? 1 : count, current[1] === 1 ? 1 : count]);
  });
  for (const i of [0, 1] as const) {
    numbers[i].addEventListener("change", () => {
      const count = parseCount(numbers[i].value);
      const next: [number, number] = [...current];
      if (count !== null) next[i] = keep(i, count);
      settle(next);
    });
  }
  return {
    element,
    update(resolution, single) {
      fixed = single;
      numbers[0].disabled = single[0];
      numbers[1].disabled = single[1];
      slider.disabled = resolution[0] === 1 && resolution[1] === 1;
      current = [...resolution];
      if (!dragging) show();
    },
  };
}
