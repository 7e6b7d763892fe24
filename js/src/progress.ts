// How far the computation is, in a bar and in words, with the buttons that hold or end it.

import { h, setText, toggle } from "./dom.ts";
import { formatDuration, formatRemaining } from "./format.ts";
import type { Command, Meta } from "./wire.ts";

export function progressText(meta: Meta | null): string {
  if (!meta) return "Waiting for the kernel";
  const points = `${meta.n_done} of ${meta.n_points} points`;
  switch (meta.status) {
    case "running":
      return [points, formatRemaining(meta.remaining_s, meta.at_most)].filter(Boolean).join(" · ");
    case "paused":
      return `Paused · ${points}`;
    case "stopped":
      return `Stopped · ${points}`;
    case "error":
      return `Ended by an error · ${points}`;
    case "done":
      // With a tolerance not all of them are measured.
      return `${meta.n_points === 1 ? "1 point" : meta.n_done < meta.n_points ? points : `${meta.n_points} points`} in ${formatDuration(meta.elapsed_s)}`;
  }
}

/** A sentence for screen readers that changes only at every quarter, so that it does not talk all the time. */
export function spokenProgress(meta: Meta): string {
  if (meta.status !== "running") return progressText(meta);
  const quarter = Math.floor((4 * meta.n_done) / Math.max(meta.n_points, 1)) * 25;
  return `Computing, ${quarter} percent of ${meta.n_points} points`;
}

export interface Progress {
  element: HTMLElement;
  update(meta: Meta | null): void;
}

export function makeProgress(send: (command: Command) => void): Progress {
  const bar = h("div", { class: "ll-bar-fill" });
  const track = h("div", { class: "ll-bar", role: "progressbar", "aria-label": "Points evaluated", "aria-valuemin": 0 }, bar);
  const text = h("span", { class: "ll-progress" });
  const hold = h("button", { type: "button", class: "ll-button ll-hold", title: "Pause or resume (P)" });
  const cancel = h(
    "button",
    { type: "button", class: "ll-button ll-cancel", "aria-label": "Cancel", title: "Stop computing and keep what is there" },
    "Cancel",
  );
  const actions = h("div", { class: "ll-actions" }, hold, cancel);
  let resumes = false;
  hold.addEventListener("click", () => send({ type: resumes ? "resume" : "pause" }));
  cancel.addEventListener("click", () => send({ type: "stop" }));
  return {
    element: h("div", { class: "ll-status" }, track, text, actions),
    update(meta) {
      const all = Math.max(meta?.n_points ?? 1, 1);
      const done = meta?.status === "done" ? all : (meta?.n_done ?? 0);
      bar.style.width = `${Math.min(100, (100 * done) / all)}%`;
      track.setAttribute("aria-valuemax", String(all));
      track.setAttribute("aria-valuenow", String(Math.min(done, all)));
      setText(text, progressText(meta));
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
