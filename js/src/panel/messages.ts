// The text around the picture: messages over it, a placeholder in its place, an error, the readout and the resolution
// below.

import type { GridPoint } from "../model/field.ts";
import { messageTexts, placeholderText } from "../model/messages.ts";
import type { Path } from "../model/path.ts";
import type { PictureState } from "../model/state.ts";
import { h, setText, toggle } from "./dom.ts";
import { spokenProgress } from "./progress.ts";
import { describeCenter, describeCheckpoint, describePoint, isLong } from "./readout.ts";

/** What is drawn; the path only if it is drawn. */
type Picture = Pick<PictureState, "meta" | "field" | "snapshot"> & { path: Path | null };

interface Situation extends Picture {
  stale: boolean;
  silent: boolean;
  gone: boolean;
  /** Points along alpha and beta. */
  points: [number, number];
}

export interface Messages {
  /** Over the picture: the placeholder and the messages. */
  over: HTMLElement[];
  error: HTMLElement;
  /** Below the picture. */
  foot: HTMLElement;
  live: HTMLElement;
  /** Describe a point; the center if there is none. */
  describe(point: GridPoint | null, picture: Picture): void;
  update(situation: Situation): void;
}

export function makeMessages(): Messages {
  const readout = h("div", { class: "ll-readout" });
  const placeholder = h("div", { class: "ll-placeholder" }, h("div", { class: "ll-placeholder-text" }));
  const messages = h("div", { class: "ll-messages" });
  const error = h("div", { class: "ll-error", role: "alert" });
  const live = h("div", { class: "ll-live", "aria-live": "polite", role: "status" });
  const resolution = h("span", { class: "ll-resolution" });
  let showsPoint = false;

  // A row ends between two parts, not within one.
  const setReadout = (text: string): void => {
    if (readout.textContent === text) return;
    readout.replaceChildren(
      ...text.split(" · ").flatMap((part, i) => [...(i ? [" · "] : []), h("span", { class: "ll-part" }, part)]),
    );
  };
  const describe = (at: GridPoint | null, { meta, field, snapshot, path }: Picture): void => {
    showsPoint = at !== null;
    if (at && path && field && at.checkpoint !== undefined)
      setReadout(describeCheckpoint(path, field, at.checkpoint, meta?.failed_checkpoints));
    else if (at && snapshot && field) setReadout(describePoint(snapshot, field, at, meta?.sketch !== undefined));
    else setReadout(meta ? describeCenter(meta) : "");
  };
  const foot = h("div", { class: "ll-foot" }, readout, resolution);
  return {
    over: [placeholder, messages],
    error,
    foot,
    live,
    describe,
    update(situation) {
      const {
        meta,
        field,
        snapshot,
        points: [nAlpha, nBeta],
      } = situation;
      foot.classList.toggle("ll-long", snapshot !== null && isLong(snapshot));
      setText(resolution, `${nAlpha} × ${nBeta} points`);
      const empty = placeholderText(meta, field);
      setText(placeholder.firstElementChild as Element, empty ?? "");
      toggle(placeholder, empty !== null);
      placeholder.classList.toggle("ll-skeleton", empty !== null && (meta === null || meta.status === "running"));
      const texts = messageTexts(situation);
      if (messages.textContent !== texts.join(""))
        messages.replaceChildren(...texts.map((t) => h("span", { class: "ll-message" }, t)));
      setText(error, meta?.error ?? "");
      toggle(error, Boolean(meta?.error));
      if (meta) setText(live, spokenProgress(meta));
      if (!showsPoint) describe(null, situation);
    },
  };
}
