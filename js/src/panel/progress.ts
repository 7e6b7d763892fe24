// The progress of the computation, as a bar and as text, with the buttons that pause or stop it.

import {
  formatCount,
  formatDuration,
  formatNumber,
  formatPercent,
  formatRemaining,
  isPercent,
} from "../model/format.ts";
import type { Command, Meta } from "../model/wire.ts";
import { h, setText, toggle } from "./dom.ts";

/** Describe the preview before the first points are known: "Sketch from 512 of 50,000 samples, ± 0.02". */
function sketchText({ sketch }: Meta, quantity?: string): string {
  if (!sketch) return "";
  const error = quantity === undefined ? undefined : sketch.stderr[quantity];
  const around =
    error === undefined ? "" : `, ± ${isPercent(quantity as string) ? formatPercent(error) : formatNumber(error, 2)}`;
  return `Sketch from ${formatCount(sketch.n)} of ${formatCount(sketch.n_samples)} samples${around}`;
}

/** Return the number of points of the surface, and of the eigenvalues computed after it. */
function stagesOf({ n_points, shape, layers }: Meta): [first: number, further: number] {
  const grid = shape[0] * shape[1];
  return layers.includes("lambda_min") && n_points >= 2 * grid ? [n_points - grid, grid] : [n_points, 0];
}

function pointsText(meta: Meta): string {
  const [first, further] = stagesOf(meta);
  const beyond = meta.n_done - first;
  return further && beyond >= 0 ? `eigenvalues at ${beyond} of ${further} points` : `${meta.n_done} of ${first} points`;
}

const failedText = ({ failed }: Meta): string => (failed ? `${formatCount(failed.at.length)} failed` : "");

export function progressText(meta: Meta | null, quantity?: string): string {
  if (!meta) return "Waiting for the kernel";
  const points = [pointsText(meta), failedText(meta)].filter(Boolean).join(" · ");
  const parts = (...texts: string[]): string => [...texts, sketchText(meta, quantity)].filter(Boolean).join(" · ");
  switch (meta.status) {
    case "running":
      return parts(points, formatRemaining(meta.remaining_s, meta.at_most));
    case "paused":
      return parts("Paused", points);
    case "stopped":
      return parts("Stopped", points);
    case "error":
      return parts("Ended by an error", points);
    case "done":
      // With a tolerance not every point is evaluated.
      return [
        `${stagesOf(meta)[0] === 1 ? "1 point" : meta.n_done < meta.n_points ? pointsText(meta) : `${stagesOf(meta)[0]} points`} in ${formatDuration(meta.elapsed_s)}`,
        failedText(meta),
      ]
        .filter(Boolean)
        .join(" · ");
  }
}

/** Return a sentence for screen readers that changes only at every quarter, so that it is not read all the time. */
export function spokenProgress(meta: Meta): string {
  if (meta.status !== "running") return progressText(meta);
  const quarter = Math.floor((4 * meta.n_done) / Math.max(meta.n_points, 1)) * 25;
  const holes = meta.failed ? "Some points have no value" : "";
  return [`Computing, ${quarter} percent of ${meta.n_points} points`, holes, sketchText(meta)]
    .filter(Boolean)
    .join(". ");
}

export interface Progress {
  element: HTMLElement;
  /** `quantity` is the one that is drawn. */
  update(meta: Meta | null, quantity: string): void;
}

export function makeProgress(send: (command: Command) => void): Progress {
  const bar = h("div", { class: "ll-bar-fill" });
  const track = h(
    "div",
    { class: "ll-bar", role: "progressbar", "aria-label": "Points evaluated", "aria-valuemin": 0 },
    bar,
  );
  const text = h("span", { class: "ll-progress" });
  const hold = h("button", { type: "button", class: "ll-button ll-hold", title: "Pause or resume (P)" });
  const cancel = h(
    "button",
    {
      type: "button",
      class: "ll-button ll-cancel",
      "aria-label": "Cancel",
      title: "Stop computing and keep what is there",
    },
    "Cancel",
  );
  const actions = h("div", { class: "ll-actions" }, hold, cancel);
  let resumes = false;
  hold.addEventListener("click", () => send({ type: resumes ? "resume" : "pause" }));
  cancel.addEventListener("click", () => send({ type: "stop" }));
  return {
    element: h("div", { class: "ll-status" }, track, text, actions),
    update(meta, quantity) {
      const all = Math.max(meta?.n_points ?? 1, 1);
      const done = meta?.status === "done" ? all : (meta?.n_done ?? 0);
      bar.style.width = `${Math.min(100, (100 * done) / all)}%`;
      track.setAttribute("aria-valuemax", String(all));
      track.setAttribute("aria-valuenow", String(Math.min(done, all)));
      setText(text, progressText(meta, quantity));
      const status = meta?.status;
      resumes = status === "paused" || status === "stopped" || status === "error";
      const label = resumes ? "Resume" : "Pause";
      setText(hold, label);
      hold.setAttribute("aria-label", label);
      toggle(hold, status === "running" || resumes);
      toggle(cancel, status === "running" || status === "paused");
      toggle(actions, !hold.hidden);
    },
  };
}
