// The seed of the random directions: slider, number input, one step back or forth, and playing through several.

import { at } from "../model/access.ts";
import { h, icon } from "./dom.ts";

const SLIDER_MAX = 99;
const SEED_MAX = 2 ** 31 - 1;

/** Return a valid seed, or null. */
export function parseSeed(text: string): number | null {
  const value = Number(text.trim() === "" ? NaN : text);
  return Number.isInteger(value) && value >= 0 && value <= SEED_MAX ? value : null;
}

/** Playing goes through this many seeds and starts again; computed seeds appear at once. */
const PLAYED = 10;
/** A finished picture is shown for this long. */
const SHOWN_MS = 900;

/** State of the requested seed. */
export type SeedState = "computing" | "shown" | "halted";

export interface SeedControl {
  element: HTMLElement;
  /** With `choices`, only these seeds are offered. */
  update(seed: number, fixedDirections: boolean, state: SeedState, choices?: number[] | null): void;
  destroy(): void;
}

const PLAY = "M5 3.5v9l7-4.5z";
const HALT = "M5.5 3.5v9M10.5 3.5v9";

export function makeSeed(commit: (seed: number) => void): SeedControl {
  const slider = h("input", {
    type: "range",
    class: "ll-seed-slider",
    "aria-label": "Seed slider",
    min: 0,
    max: SLIDER_MAX,
    step: 1,
  });
  const number = h("input", { type: "number", class: "ll-seed", "aria-label": "Seed", min: 0, step: 1 });
  const step = (label: string, path: string) =>
    h("button", { type: "button", class: "ll-button ll-icon", "aria-label": label, title: label }, icon(path));
  const previous = step("Previous seed", "M10 3 5 8l5 5");
  const next = step("Next seed", "M6 3l5 5-5 5");
  const play = step("Play through seeds", PLAY);
  play.classList.add("ll-play");
  const element = h(
    "div",
    { class: "ll-seeds", role: "group", "aria-label": "Direction seed" },
    h("span", { class: "ll-label" }, "seed"),
    previous,
    slider,
    next,
    number,
    play,
  );
  let current = 0;
  let choices: number[] | null = null;
  /** The slider shows the seed, or its index among the choices. */
  const read = (): number | null => parseSeed(choices ? String(choices[Number(slider.value)]) : slider.value);
  const neighbor = (by: 1 | -1): number | null => {
    if (!choices) return parseSeed(String(current + by));
    return choices[choices.indexOf(current) + by] ?? null;
  };
  let dragging = false;

  const show = (seed: number): void => {
    slider.max = String(choices ? choices.length - 1 : Math.max(SLIDER_MAX, current));
    slider.value = String(choices ? choices.indexOf(seed) : seed);
    slider.setAttribute("aria-valuetext", String(seed));
    number.value = String(seed);
  };
  let first: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const setPlaying = (playing: boolean): void => {
    first = playing ? current : null;
    clearTimeout(timer);
    timer = undefined;
    const label = playing ? "Stop playing" : "Play through seeds";
    play.setAttribute("aria-label", label);
    play.title = label;
    play.replaceChildren(icon(playing ? HALT : PLAY));
  };
  const bound = (): void => {
    previous.disabled = neighbor(-1) === null;
    next.disabled = neighbor(1) === null;
  };
  const settle = (seed: number | null): void => {
    dragging = false;
    if (seed !== null && seed !== current && (choices?.includes(seed) ?? true)) {
      current = seed;
      commit(seed);
    }
    show(current);
    bound();
  };
  slider.addEventListener("input", () => {
    dragging = true;
    number.value = String(read() ?? current);
  });
  slider.addEventListener("change", () => settle(read()));
  number.addEventListener("change", () => settle(parseSeed(number.value)));
  previous.addEventListener("click", () => settle(neighbor(-1)));
  next.addEventListener("click", () => settle(neighbor(1)));
  play.addEventListener("click", () => {
    setPlaying(first === null);
    advance("shown");
  });
  // Choosing a seed stops playing.
  for (const control of [slider, number, previous, next]) {
    for (const type of ["input", "click"]) control.addEventListener(type, () => first !== null && setPlaying(false));
  }
  /** Go to the next seed after this one was shown. */
  const advance = (state: SeedState): void => {
    if (first === null) return;
    if (state === "halted") setPlaying(false);
    if (state !== "shown" || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      if (first === null) return;
      if (choices) settle(neighbor(1) ?? at(choices, 0));
      else settle(current + 1 < first + PLAYED ? current + 1 : first);
    }, SHOWN_MS);
  };
  return {
    element,
    update(seed, fixedDirections, state, offered = null) {
      choices = offered;
      element.title = fixedDirections
        ? "The directions were given, so there is no seed to choose"
        : "Seed of the random directions";
      for (const control of [slider, number, next, play]) control.disabled = fixedDirections;
      current = seed;
      bound();
      if (fixedDirections) previous.disabled = next.disabled = true;
      if (!dragging) show(seed);
      if (timer === undefined) advance(state);
    },
    destroy: () => clearTimeout(timer),
  };
}
