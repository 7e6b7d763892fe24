// The panel below the picture: the controls of the plane and of the style. It folds.

import { at } from "../model/access.ts";
import { type Controls, OVERLAYS, type Overlays } from "../model/controls.ts";
import type { Field } from "../model/field.ts";
import type { Meta } from "../model/wire.ts";
import { h, toggle } from "./dom.ts";
import { makeRange } from "./range.ts";
import { makeResolution } from "./resolution.ts";
import { makeSeed, type SeedState } from "./seed.ts";
import { makeStylePanel, type StyleHost } from "./stylePanel.ts";

interface Situation {
  meta: Meta | null;
  field: Field | null;
  stale: boolean;
  spatial: boolean;
}

export interface Panel {
  element: HTMLElement;
  update(controls: Controls, situation: Situation): void;
  /** Return the overlays as one object; the same object while they do not change. */
  overlays(controls: Controls): Overlays;
  destroy(): void;
}

function seedState(meta: Meta | null, stale: boolean): SeedState {
  if (meta === null || (meta.status === "running" && meta.n_done < meta.n_points)) return "computing";
  if (meta.status !== "done" && meta.status !== "running") return "halted";
  return stale || meta.status === "running" ? "computing" : "shown";
}

export function makePanel(host: StyleHost, live: boolean): Panel {
  const { set } = host;
  const alpha = makeRange("alpha", (range) => set({ alpha: range }));
  const beta = makeRange("beta", (range) => set({ beta: range }));
  const seed = makeSeed((value) => set({ seed: value }));
  const resolution = makeResolution((value) => set({ resolution: value }));
  const style = makeStylePanel(host);
  const plane = h("div", { class: "ll-plane" }, alpha.element, beta.element, seed.element, resolution.element);
  const element = h("details", { class: "ll-panel", open: true }, h("summary", {}, "Controls"), plane, style.element);
  let wanted = true;
  element.addEventListener("toggle", () => {
    if (element.open === wanted) return;
    wanted = element.open;
    set({ show_panel: wanted });
  });
  let overlays: Overlays | null = null;
  return {
    element,
    update(controls, { meta, field, stale, spatial }) {
      if (wanted !== controls.show_panel) element.open = wanted = controls.show_panel;
      alpha.update(controls.alpha, controls.resolution[0] === 1);
      beta.update(controls.beta, controls.resolution[1] === 1);
      // Of a result only the seed can be chosen, if it has several.
      const choices = meta?.seeds && Math.min(...meta.shape) > 1 ? meta.seeds : null;
      toggle(plane, live || choices !== null);
      for (const control of [alpha, beta, resolution]) toggle(control.element, live);
      if (choices)
        seed.update(choices.includes(controls.seed) ? controls.seed : at(choices, 0), false, "shown", choices);
      else seed.update(controls.seed, meta?.seed === null, seedState(meta, stale));
      resolution.update(controls.resolution, [
        controls.alpha[0] === controls.alpha[1],
        controls.beta[0] === controls.beta[1],
      ]);
      const layers = (meta?.layers ?? []).filter((name) => name !== "evaluated");
      const line = meta !== null && Math.min(...meta.shape) === 1;
      const names = {
        line,
        path: meta?.trajectory !== undefined,
        labels: meta?.trajectory !== undefined || meta?.marks !== undefined,
      };
      style.update(controls, layers, field, { spatial, ...names });
    },
    overlays(controls) {
      const next = Object.fromEntries(OVERLAYS.map((name) => [name, controls[name]])) as Overlays;
      if (!overlays || JSON.stringify(next) !== JSON.stringify(overlays)) overlays = next;
      return overlays;
    },
    destroy: () => seed.destroy(),
  };
}
