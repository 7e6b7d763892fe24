// The style panel: colors, levels, heights, overlays, viewpoint and files.

import { PRESETS } from "../gl/camera.ts";
import { unscale } from "../model/channel.ts";
import { type Controls, type Levels, OVERLAYS } from "../model/controls.ts";
import type { Field } from "../model/field.ts";
import { choiceName, formatValue } from "../model/format.ts";
import { COLORMAPS } from "../model/palette.ts";
import { h, setText, toggle } from "./dom.ts";

export interface StyleHost {
  set(controls: Partial<Controls>): void;
  preset(index: number): void;
  save(kind: "png" | "svg"): void;
}

/** What the picture has. The controls of what it lacks are hidden. */
interface Has {
  /** A single row or column, or one point. */
  line: boolean;
  spatial: boolean;
  path: boolean;
  labels: boolean;
}

export interface StylePanel {
  element: HTMLElement;
  update(controls: Controls, layers: string[], field: Field | null, has: Has): void;
}

const OVERLAY_TEXTS: Record<(typeof OVERLAYS)[number], [string, string]> = {
  show_contours: ["Contours", "Lines of equal height"],
  show_points: ["Points", "Grid points: dark where evaluated, small and light where interpolated"],
  show_marks: ["Marks", "The center (disc), the lowest point (cross) and named models"],
  show_path: ["Path", "The training path at its real heights, pale where it is far from the plane (T)"],
  show_drop_lines: ["Drop lines", "From every checkpoint to the surface below or above it"],
  show_labels: ["Labels", "Names of checkpoints and models"],
  show_slices: ["Slices", "The two curves through the pointer, beside a wide contour map"],
};

const field = (label: string, ...controls: (Node | string)[]): HTMLElement =>
  h(
    "div",
    { class: "ll-field", role: "group", "aria-label": label },
    h("span", { class: "ll-label" }, label),
    ...controls,
  );

function select(label: string, cls: string, title: string, pick: (value: string) => void): HTMLSelectElement {
  const element = h("select", { class: cls, "aria-label": label, title });
  element.addEventListener("change", () => pick(element.value));
  return element;
}

function options(element: HTMLSelectElement, entries: [string, string][], value: string): void {
  const key = JSON.stringify(entries);
  if (element.dataset.options !== key) {
    element.dataset.options = key;
    element.replaceChildren(...entries.map(([name, text]) => h("option", { value: name }, text)));
  }
  element.value = value;
}

const levelsName = (levels: Levels): string => (typeof levels === "string" ? levels : "custom");

/** A slider for the height above which nothing is drawn; off at its right end. */
function makeClip(set: StyleHost["set"]): { element: HTMLElement; update(controls: Controls, f: Field | null): void } {
  const steps = 200;
  const slider = h("input", {
    type: "range",
    class: "ll-slider ll-clip",
    "aria-label": "Clip",
    min: 1,
    max: steps,
    step: 1,
  });
  const text = h("span", { class: "ll-value" });
  let own: [number, number] = [0, 1];
  let scale: Controls["scale"] = "linear";
  slider.addEventListener("input", () => {
    const share = Number(slider.value) / steps;
    set({ clip: share >= 1 ? null : Number(unscale(own[0] + share * (own[1] - own[0]), scale).toPrecision(4)) });
  });
  return {
    element: field("clip", slider, text),
    update({ clip }, f) {
      if (f) [own, scale] = [f.own, f.scale];
      slider.disabled = !f || f.flat;
      const z = clip === null ? own[1] : scale === "log" ? Math.log10(Math.max(clip, 1e-300)) : clip;
      const share = Math.max(1, Math.min(steps, Math.round((steps * (z - own[0])) / (own[1] - own[0]))));
      if (Number(slider.value) !== share) slider.value = String(share);
      const words = clip === null ? "off" : formatValue(clip, f?.quantity ?? "loss");
      setText(text, words);
      slider.setAttribute("aria-valuetext", words);
    },
  };
}

/** Two numbers for the ends of a scale; automatic if both are empty. */
function makeLimits(
  set: StyleHost["set"],
  name: "limits" | "color_limits",
  label: string,
): { element: HTMLElement; update(controls: Controls): void } {
  const input = (end: string) =>
    h("input", { type: "number", "aria-label": `${end} ${label}`, placeholder: "auto", step: "any" });
  const [low, high] = [input("Lowest"), input("Highest")];
  const commit = (): void => {
    const read = (element: HTMLInputElement): number => (element.value.trim() === "" ? NaN : Number(element.value));
    const [a, b] = [read(low), read(high)];
    if (a < b) set({ [name]: [a, b] });
    else if (Number.isNaN(a) && Number.isNaN(b)) set({ [name]: null });
  };
  for (const element of [low, high]) element.addEventListener("change", commit);
  let shown = "";
  return {
    element: field(label, low, h("span", {}, "to"), high),
    update(controls) {
      const limits = controls[name];
      if (shown === JSON.stringify(limits)) return;
      shown = JSON.stringify(limits);
      low.value = limits ? String(limits[0]) : "";
      high.value = limits ? String(limits[1]) : "";
    },
  };
}

export function makeStylePanel(host: StyleHost): StylePanel {
  const { set } = host;
  const color = select("Color by", "ll-color", "What colors the picture", (value) =>
    set({ color: value === "" ? null : value }),
  );
  const colormap = select("Colormap", "ll-colormap", "Colors from low to high", (value) =>
    set({ colormap: value as Controls["colormap"] }),
  );
  const levels = select("Levels", "ll-levels", "Heights of the contour lines", (value) => {
    if (value !== "custom") set({ levels: value as Levels });
  });
  const clip = makeClip(set);
  const limits = makeLimits(set, "limits", "height");
  const colorLimits = makeLimits(set, "color_limits", "color scale");
  const boxes = OVERLAYS.map((name) => {
    const [text, title] = OVERLAY_TEXTS[name];
    const box = h("input", { type: "checkbox", class: `ll-${name.replaceAll("_", "-")}` });
    box.addEventListener("change", () => set({ [name]: box.checked }));
    return { name, box, element: h("label", { class: "ll-check", title }, box, text) };
  });
  const presets = PRESETS.map(({ name, title }, i) => {
    const button = h("button", { type: "button", class: `ll-button ll-preset`, title }, name);
    button.addEventListener("click", () => host.preset(i));
    return button;
  });
  const save = (kind: "png" | "svg") => {
    const button = h(
      "button",
      { type: "button", class: `ll-button ll-save-${kind}`, title: `Save the picture as ${kind.toUpperCase()}` },
      kind.toUpperCase(),
    );
    button.addEventListener("click", () => host.save(kind));
    return button;
  };
  const svg = save("svg");
  const levelsField = field("levels", levels);
  const viewField = field("view", h("div", { class: "ll-choice" }, ...presets));
  return {
    element: h(
      "div",
      { class: "ll-style" },
      field("color", color, colormap),
      colorLimits.element,
      levelsField,
      clip.element,
      limits.element,
      field("show", ...boxes.map(({ element }) => element)),
      h("div", { class: "ll-pair" }, viewField, field("save", h("div", { class: "ll-choice" }, save("png"), svg))),
    ),
    update(controls, layers, f, { line, spatial, path, labels }) {
      options(
        color,
        [["", "As the height"], ...layers.map((name): [string, string] => [name, choiceName(name)])],
        controls.color ?? "",
      );
      options(colormap, COLORMAPS, controls.colormap);
      const custom: [string, string][] = typeof controls.levels === "string" ? [] : [["custom", "As given"]];
      options(
        levels,
        [["auto", "Automatic"], ["paper", "As in the paper: 0.1, 0.6, 1.1, …"], ...custom],
        levelsName(controls.levels),
      );
      clip.update(controls, f);
      limits.update(controls);
      colorLimits.update(controls);
      toggle(colorLimits.element, !line && f !== null && f.color.quantity !== f.quantity);
      for (const { name, box, element } of boxes) {
        box.checked = controls[name];
        toggle(
          element,
          name === "show_marks" ||
            (name === "show_labels" ? labels : !line && (path || (name !== "show_path" && name !== "show_drop_lines"))),
        );
      }
      for (const element of [colormap, levelsField, viewField]) toggle(element, !line);
      for (const button of presets) button.disabled = !spatial;
      svg.disabled = spatial;
      svg.title = spatial ? "Contours and lines can be saved as SVG, the 3D picture as PNG" : "Save the picture as SVG";
    },
  };
}
