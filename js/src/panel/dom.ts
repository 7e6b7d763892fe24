// Make elements in one line. Text is always set as text, never as markup.

type Attributes = Record<string, string | number | boolean | null>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  // JupyterLab binds notebook keys to every focused element that takes no text, unless the element opts out.
  if (element.matches("button, input, select")) element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Return a 16 x 16 line icon with one path. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** Set text only if it differs, so that screen readers and layout are not disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function toggle(element: HTMLElement, shown: boolean): void {
  element.hidden = !shown;
}
