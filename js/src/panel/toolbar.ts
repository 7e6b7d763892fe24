// The head of the viewer: title, quantity, scale and view.

import type { Controls, ScaleName, ViewName } from "../model/controls.ts";
import { choiceName } from "../model/format.ts";
import type { Meta } from "../model/wire.ts";
import { h, icon, setText, toggle } from "./dom.ts";

interface Choice<T extends string> {
  element: HTMLElement;
  buttons: Map<T, HTMLButtonElement>;
  select(value: T): void;
}

function makeChoice<T extends string>(
  label: string,
  options: [T, string, string][],
  pick: (value: T) => void,
): Choice<T> {
  const buttons = new Map<T, HTMLButtonElement>();
  const element = h("div", { class: "ll-choice", role: "group", "aria-label": label });
  for (const [value, text, title] of options) {
    const button = h(
      "button",
      { type: "button", class: `ll-button ll-${value}`, title, "aria-pressed": "false" },
      text,
    );
    button.addEventListener("click", () => pick(value));
    buttons.set(value, button);
    element.append(button);
  }
  const select = (chosen: T): void => {
    for (const [value, button] of buttons) button.setAttribute("aria-pressed", String(value === chosen));
  };
  return { element, buttons, select };
}

export interface Toolbar {
  element: HTMLElement;
  update(heading: string, meta: Meta | null, controls: Controls, effectiveView: ViewName, hasWebGL: boolean): void;
}

export function makeToolbar(set: (controls: Partial<Controls>) => void, fullScreen: () => void): Toolbar {
  const view = makeChoice<ViewName>(
    "View",
    [
      ["surface", "3D", "3D surface (C)"],
      ["contour", "Contour", "Contour map (C)"],
    ],
    (value) => set({ view: value }),
  );
  const scale = makeChoice<ScaleName>(
    "Scale",
    [
      ["linear", "Linear", "Linear scale (L)"],
      ["log", "Log", "Logarithmic scale (L)"],
    ],
    (value) => set({ scale: value }),
  );
  const quantity = h("select", { class: "ll-quantity", "aria-label": "Quantity", title: "What is drawn" });
  quantity.addEventListener("change", () => set({ quantity: quantity.value }));
  const full = h(
    "button",
    { type: "button", class: "ll-button ll-icon ll-fullscreen", "aria-label": "Full screen", title: "Full screen (F)" },
    icon("M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"),
  );
  full.addEventListener("click", fullScreen);
  toggle(full, document.fullscreenEnabled === true);
  const title = h("div", { class: "ll-title" });
  const subtitle = h("div", { class: "ll-subtitle" });
  let shownLayers = "";
  return {
    element: h(
      "div",
      { class: "ll-head" },
      h("div", { class: "ll-names" }, title, subtitle),
      h("div", { class: "ll-tools" }, quantity, scale.element, view.element, full),
    ),
    update(heading, meta, controls, effectiveView, hasWebGL) {
      setText(title, heading || meta?.title || "Loss landscape");
      setText(subtitle, meta?.subtitle ?? "");
      title.title = title.textContent ?? "";
      subtitle.title = subtitle.textContent ?? "";
      view.select(effectiveView);
      toggle(view.element, meta === null || Math.min(...meta.shape) > 1);
      scale.select(controls.scale);
      const solid = view.buttons.get("surface") as HTMLButtonElement;
      solid.disabled = !hasWebGL;
      solid.title = hasWebGL ? "3D surface (C)" : "3D needs WebGL 2, which this browser does not offer";
      const layers = (meta?.layers ?? [controls.quantity]).filter((name) => name !== "evaluated");
      if (shownLayers !== layers.join()) {
        shownLayers = layers.join();
        quantity.replaceChildren(...layers.map((name) => h("option", { value: name }, choiceName(name))));
      }
      quantity.value = layers.includes(controls.quantity) ? controls.quantity : (layers[0] ?? "");
    },
  };
}
