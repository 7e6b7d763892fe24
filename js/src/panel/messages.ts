// What is said around the picture: the value under the pointer, notes over it, a sentence instead of it, an error, the resolution.

import type { GridPoint } from "../model/field.ts";
import { emptyText, noteTexts } from "../model/messages.ts";
import type { Path } from "../model/path.ts";
import { describeCenter, describeCheckpoint, describePoint, isLong } from "../model/readout.ts";
import type { Shown } from "../model/state.ts";
import { h, setText, toggle } from "./dom.ts";
import { spokenProgress } from "./progress.ts";

/** What is shown, with the path only where it is drawn. */
type What = Pick<Shown, "meta" | "field" | "snapshot"> & { path: Path | null };

interface Situation extends What {
  stale: boolean;
  silent: boolean;
  gone: boolean;
  /** Points along alpha and beta. */
  points: [number, number];
}

export interface Captions {
  /** Over the picture: the sentence and the notes. */
  over: HTMLElement[];
  error: HTMLElement;
  /** Below the picture. */
  foot: HTMLElement;
  live: HTMLElement;
  /** Tells of a point; of the center when there is none. */
  point(point: GridPoint | null, what: What): void;
  update(situation: Situation): void;
}

export function makeCaptions(): Captions {
  const hover = h("div", { class: "ll-hover" });
  const message = h("div", { class: "ll-message" }, h("div", { class: "ll-message-text" }));
  const notes = h("div", { class: "ll-notes" });
  const error = h("div", { class: "ll-error", role: "alert" });
  const live = h("div", { class: "ll-live", "aria-live": "polite", role: "status" });
  const resolution = h("span", { class: "ll-resolution" });
  let showsPoint = false;

  // A row ends between two parts, not within one.
  const say = (text: string): void => {
    if (hover.textContent === text) return;
    hover.replaceChildren(
      ...text.split(" · ").flatMap((part, i) => [...(i ? [" · "] : []), h("span", { class: "ll-part" }, part)]),
    );
  };
  const point = (at: GridPoint | null, { meta, field, snapshot, path }: What): void => {
    showsPoint = at !== null;
    if (at && path && field && at.checkpoint !== undefined) say(describeCheckpoint(path, field, at.checkpoint));
    else if (at && snapshot && field) say(describePoint(snapshot, field, at, meta?.sketch !== undefined));
    else say(meta ? describeCenter(meta) : "");
  };
  const foot = h("div", { class: "ll-foot" }, hover, resolution);
  return {
    over: [message, notes],
    error,
    foot,
    live,
    point,
    update(situation) {
      const {
        meta,
        field,
        snapshot,
        points: [nAlpha, nBeta],
      } = situation;
      foot.classList.toggle("ll-long", snapshot !== null && isLong(snapshot));
      setText(resolution, `${nAlpha} × ${nBeta} points`);
      const empty = emptyText(meta, field);
      setText(message.firstElementChild as Element, empty ?? "");
      toggle(message, empty !== null);
      message.classList.toggle("ll-skeleton", empty !== null && (meta === null || meta.status === "running"));
      const texts = noteTexts(situation);
      if (notes.textContent !== texts.join(""))
        notes.replaceChildren(...texts.map((t) => h("span", { class: "ll-note" }, t)));
      setText(error, meta?.error ?? "");
      toggle(error, Boolean(meta?.error));
      if (meta) setText(live, spokenProgress(meta));
      if (!showsPoint) point(null, situation);
    },
  };
}
