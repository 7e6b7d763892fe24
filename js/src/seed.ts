// The seed of the random directions: slider, number, and a step back or forth.

import { h, icon } from "./dom.ts";

const SLIDER_MAX = 99;
const SEED_MAX = 2 ** 31 - 1;

/** A usable seed, or null. */
export function parseSeed(text: string): number | null {
  const value = Number(text.trim() === "" ? NaN : text);
  return Number.isInteger(value) && value >= 0 && value <= SEED_MAX ? value : null;
}

export interface SeedControl {
  element: HTMLElement;
  update(seed: number, fixedDirections: boolean): void;
}

export function makeSeed(commit: (seed: number) => void): SeedControl {
  const slider = h("input", { type: "range", class: "ll-seed-slider", "aria-label": "Seed slider", min: 0, max: SLIDER_MAX, step: 1 });
  const number = h("input", { type: "number", class: "ll-seed", "aria-label": "Seed", min: 0, step: 1 });
  const step = (label: string, path: string) =>
    h("button", { type: "button", class: "ll-button ll-icon", "aria-label": label, title: label }, icon(path));
  const previous = step("Previous seed", "M10 3 5 8l5 5");
  const next = step("Next seed", "M6 3l5 5-5 5");
  const element = h(
    "div",
    { class: "ll-seeds", role: "group", "aria-label": "Direction seed" },
    h("span", { class: "ll-label" }, "seed"),
    previous,
    slider,
    next,
    number,
  );
  let current = 0;
  let dragging = false;

  const show = (seed: number): void => {
    slider.max = String(Math.max(SLIDER_MAX, current));
    slider.value = String(seed);
    number.value = String(seed);
  };
  const settle = (seed: number | null): void => {
    dragging = false;
    if (seed !== null && seed !== current) {
      current = seed;
      commit(seed);
    }
    show(current);
    previous.disabled = current === 0;
  };
  slider.addEventListener("input", () => {
    dragging = true;
    number.value = slider.value;
  });
  slider.addEventListener("change", () => settle(parseSeed(slider.value)));
  number.addEventListener("change", () => settle(parseSeed(number.value)));
  previous.addEventListener("click", () => settle(parseSeed(String(current - 1))));
  next.addEventListener("click", () => settle(parseSeed(String(current + 1))));
  return {
    element,
    update(seed, fixedDirections) {
      element.title = fixedDirections ? "The directions were given, so there is no seed to choose" : "Seed of the random directions";
      for (const control of [slider, number, next]) control.disabled = fixedDirections;
      current = seed;
      previous.disabled = fixedDirections || seed === 0;
      if (!dragging) show(seed);
    },
  };
}
