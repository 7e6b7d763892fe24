// The messages of the viewer: what the picture leaves out, or a sentence in place of it.

import { isHessianLayer } from "./convexity.ts";
import type { Field } from "./field.ts";
import { choiceName, formatValue } from "./format.ts";
import { capturedText, type Path } from "./path.ts";
import type { Meta } from "./wire.ts";

/** Return the sentence that stands in place of the picture; null if there is something to draw. */
export function placeholderText(meta: Meta | null, field: Field | null): string | null {
  if (field && field.nFinite > 0) return null;
  if (!field || field.evaluated.every((e) => e === 0)) {
    if (meta?.status === "error") return "Nothing was computed";
    if (meta?.status === "stopped") return "Stopped before the first point";
    if (meta?.status === "paused") return "Paused before the first point";
    return "Evaluating the first points…";
  }
  if (field.scale === "log" && Number.isFinite(field.min)) return "No positive values: nothing to draw on a log scale";
  return meta?.status === "running" || meta?.status === "paused" ? "No finite value so far" : "No finite value";
}

interface Situation {
  meta: Meta | null;
  field: Field | null;
  stale: boolean;
  silent: boolean;
  /** The training path, if it is drawn. */
  path?: Path | null;
  /** True if the kernel is silent since it restarted or died. */
  gone?: boolean;
}

/** True if the layer chosen to color the picture has no value at all. */
const isColorless = ({ color, quantity, nFinite }: Field): boolean =>
  color.quantity !== quantity && color.nFinite === 0 && nFinite > 0;

function colorlessText({ color }: Field, meta: Meta | null): string {
  const name = choiceName(color.quantity);
  if (isHessianLayer(color.quantity) && color.values.every(Number.isNaN) && meta?.status !== "done") {
    return meta?.status === "stopped" ? `${name} was not computed` : `${name} is computed after the surface`;
  }
  return color.quantity === "convexity"
    ? `No ${name.toLowerCase()} to show: nowhere is λmin finite and told apart from 0`
    : `${name} has no finite value to color with`;
}

export function messageTexts({ meta, field, stale, silent, path, gone }: Situation): string[] {
  const texts: string[] = [];
  if (gone) texts.push("The kernel is gone: this is the last picture. Run the cell again to continue");
  else if (silent) texts.push("No answer from the kernel (busy or stopped)");
  if (stale && !gone)
    texts.push(
      meta?.status === "running" || meta?.status === "done" ? "Computing the new plane…" : "This is the previous plane",
    );
  if (field?.cut) {
    const { at, share, max } = field.cut;
    const percent = share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`;
    const name = field.quantity;
    texts.push(
      `${field.cut.chosen ? "Clipped" : "Cut"} at ${formatValue(at, name)}: ${percent} of the values are higher, up to ${formatValue(max, name)}`,
    );
  }
  if (field && isColorless(field)) texts.push(colorlessText(field, meta));
  const captured = path && capturedText(path);
  if (captured) texts.push(captured);
  return texts;
}

/** Return the first warning, and how many more there are, as figures word it. */
export function warningSummary(texts: string[]): { first: string; more: string } {
  return { first: texts[0] ?? "", more: texts.length > 1 ? `${texts.length - 1} more` : "" };
}

/**
 * Return the height to keep free above the picture, in CSS pixels; a sentence takes two rows if the picture is
 * narrow.
 */
export function messagesHeight(field: Field, width: number, path: Path | null): number {
  const long = width < 460 ? 2 : 1;
  const rows = (field.cut ? long : 0) + (isColorless(field) ? long : 0) + (path ? 1 : 0);
  return rows ? 8 + 22 * Math.min(rows, width < 460 ? 3 : 1) : 0;
}
