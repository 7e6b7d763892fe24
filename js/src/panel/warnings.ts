// What the person is warned of: a quiet line below the picture, which opens if there is more than fits.

import { warningSummary } from "../model/messages.ts";
import type { Meta } from "../model/wire.ts";
import { h, icon } from "./dom.ts";

/** A longer text is cut to two rows until the line is opened. */
const LONG = 140;
const TRIANGLE = "M8 2.2 14.6 13.8H1.4ZM8 6.6v3.2M8 11.9v.1";

export interface Warnings {
  element: HTMLElement;
  update(meta: Meta | null): void;
}

/** Return whether the line opens: there are several warnings, or one that is long. */
export const opens = (texts: string[]): boolean => texts.length > 1 || (texts[0] ?? "").length > LONG;

export function makeWarnings(): Warnings {
  // A live region must be in the page before its text is.
  const element = h("div", { class: "ll-warnings", role: "status" });
  let shown = "";
  return {
    element,
    update(meta) {
      const texts = meta?.warnings ?? [];
      if (JSON.stringify(texts) === shown) return;
      shown = JSON.stringify(texts);
      element.replaceChildren(...(texts.length ? [lineOf(texts)] : []));
    },
  };
}

function lineOf(texts: string[]): HTMLElement {
  const { first, more } = warningSummary(texts);
  const head = [
    icon(TRIANGLE),
    h("span", { class: "ll-unseen" }, texts.length > 1 ? `${texts.length} warnings: ` : "Warning: "),
    h("span", { class: "ll-warning" }, first),
    ...(more ? [h("span", { class: "ll-more" }, more)] : []),
  ];
  if (!opens(texts)) return h("div", { class: "ll-warned" }, ...head);
  const rest = texts.slice(1).map((text) => h("li", {}, text));
  return h(
    "details",
    {},
    h("summary", { class: "ll-warned" }, ...head),
    ...(rest.length ? [h("ul", { class: "ll-rest" }, ...rest)] : []),
  );
}
