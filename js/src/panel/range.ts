// The range of one axis: a slider with two thumbs and two number inputs. It shows while dragging and commits on
// release.

import type { Range } from "../model/wire.ts";
import { h } from "./dom.ts";

/** Return the bound of the slider: 2 unless the range needs more. */
export function boundFor([lo, hi]: Range): number {
  const reach = Math.max(Math.abs(lo), Math.abs(hi));
  if (reach <= 2) return 2;
  const magnitude = 10 ** Math.floor(Math.log10(reach));
  return [1, 2, 5, 10].map((m) => m * magnitude).find((b) => b >= reach * 1.2) ?? 20 * magnitude;
}

/** Round to six significant digits, which removes the noise of binary fractions. */
export const tidy = (value: number): number => Number(value.toPrecision(6)) || 0;

/**
 * Return the range after one end was set, always finite with lo < hi; null if the value cannot be used. An end that
 * passes the other one pushes it ahead by the previous width. With a single point on the axis both ends are equal.
 */
export function editRange(range: Range, end: 0 | 1, value: number, single: boolean): Range | null {
  if (!Number.isFinite(value) || Math.abs(value) > 1e6) return null;
  const set = tidy(value);
  if (single) return [set, set];
  const next: Range = end === 0 ? [set, range[1]] : [range[0], set];
  if (next[0] < next[1]) return next;
  const width = range[1] > range[0] ? range[1] - range[0] : 1;
  const pushed: Range = end === 0 ? [set, tidy(set + width)] : [tidy(set - width), set];
  return pushed[0] < pushed[1] ? pushed : null;
}

export interface RangeControl {
  element: HTMLElement;
  update(range: Range, single: boolean): void;
}

export function makeRange(name: "alpha" | "beta", commit: (range: Range) => void): RangeControl {
  const thumb = (label: string) => h("input", { type: "range", class: "ll-thumb", "aria-label": label, step: "any" });
  const number = (label: string, cls: string) =>
    h("input", { type: "number", class: cls, "aria-label": label, step: "any" });
  const thumbs = [thumb(`lower end of ${name}`), thumb(`upper end of ${name}`)] as const;
  const numbers = [number(`${name} minimum`, "ll-min"), number(`${name} maximum`, "ll-max")] as const;
  const fill = h("div", { class: "ll-fill" });
  const track = h("div", { class: "ll-track" }, fill, ...thumbs);
  const element = h(
    "div",
    { class: `ll-range ll-range-${name}`, role: "group", "aria-label": `${name} range` },
    h("span", { class: "ll-label" }, name),
    numbers[0],
    track,
    numbers[1],
  );
  let current: Range = [-1, 1];
  let single = false;
  let dragging = false;

  const paint = ([lo, hi]: Range): void => {
    const bound = Number(thumbs[0].max);
    fill.style.left = `${((lo + bound) / (2 * bound)) * 100}%`;
    fill.style.right = `${100 - ((hi + bound) / (2 * bound)) * 100}%`;
    for (const [end, value] of [
      [0, lo],
      [1, hi],
    ] as const) {
      thumbs[end].value = String(value);
      thumbs[end].setAttribute("aria-valuetext", String(tidy(value)));
      numbers[end].value = String(tidy(value));
    }
  };
  const show = (range: Range): void => {
    const bound = boundFor(range);
    for (const t of thumbs) {
      t.min = String(-bound);
      t.max = String(bound);
      t.step = String(bound / 100);
    }
    paint(range);
  };
  const settle = (next: Range | null): void => {
    dragging = false;
    if (next && (next[0] !== current[0] || next[1] !== current[1])) {
      current = next;
      commit(next);
    }
    show(current);
  };

  for (const end of [0, 1] as const) {
    const read = (): Range | null => {
      const step = Number(thumbs[end].step);
      const other = current[end === 0 ? 1 : 0];
      const value = Number(thumbs[end].value);
      // A thumb stops one step before the other.
      const stopped = single ? value : end === 0 ? Math.min(value, other - step) : Math.max(value, other + step);
      return editRange(current, end, stopped, single);
    };
    thumbs[end].addEventListener("input", () => {
      dragging = true;
      paint(read() ?? current);
    });
    thumbs[end].addEventListener("change", () => settle(read()));
    numbers[end].addEventListener("change", () => {
      const text = numbers[end].value.trim();
      settle(text === "" ? null : editRange(current, end, Number(text), single));
    });
  }
  return {
    element,
    update(range, isSingle) {
      single = isSingle;
      if (range[0] === current[0] && range[1] === current[1] && thumbs[0].max !== "") return;
      current = [range[0], range[1]];
      if (!dragging) show(current);
    },
  };
}
