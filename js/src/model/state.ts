// What the viewer shows: the last frame that could be read, and the field made of it.

import { type Field, makeField, rangeKey } from "./field.ts";
import { makePath, type Path, reachOf } from "./path.ts";
import { chooseRun, isLine, reachOfCurves, secondChannel } from "./seeds.ts";
import {
  type Controls,
  decodeFrame,
  isSamePlane,
  type Marks,
  type Meta,
  parseMeta,
  type Range,
  type Snapshot,
} from "./wire.ts";

export interface Shown {
  frame: DataView | null;
  /** The latest meta, and the one of the frame that is shown. */
  meta: Meta | null;
  /** What the frame holds, and the part of it that is shown: one of several seeds. */
  decoded: Snapshot | null;
  snapshot: Snapshot | null;
  snapshotMeta: Meta | null;
  field: Field | null;
  run: number;
  fieldKey: string;
  path: Path | null;
  marks: Marks;
  /** The common ranges it was made with. */
  common: Record<string, Range | null>;
}

export const nothing = (): Shown => ({
  frame: null,
  meta: null,
  decoded: null,
  snapshot: null,
  snapshotMeta: null,
  field: null,
  run: 0,
  fieldKey: "",
  path: null,
  marks: {},
  common: {},
});

/** Takes in the latest bytes; decodes only what changed. */
export function takeFrame(shown: Shown, frame: DataView | null, json: unknown): void {
  const meta = parseMeta(json);
  if (!meta) return;
  const before = shown.snapshotMeta;
  if (before && frame === shown.frame && isSamePlane(meta, before)) {
    // The same bytes again, for instance with another status: the picture stands.
    shown.snapshotMeta = meta;
  } else if (frame !== shown.frame || meta !== shown.meta) {
    shown.frame = frame;
    const snapshot = decodeFrame(frame, meta);
    // Bytes that do not fit, or a plane without a single patch yet, are left aside: the last picture is better than none.
    const isEmpty = snapshot !== null && meta.status === "running" && !hasPatch(snapshot);
    if (snapshot && !(isEmpty && before))
      Object.assign(shown, { decoded: snapshot, snapshot: null, snapshotMeta: meta, field: null });
  }
  shown.meta = meta;
}

/** Whether there is anything to draw: four known corners of a cell, or as many as a line or a point has. */
export function hasPatch({ nAlpha, nBeta, layers }: Snapshot): boolean {
  const [values] = layers.values();
  const known = (row: number, column: number) =>
    Number.isFinite(values[Math.min(row, nBeta - 1) * nAlpha + Math.min(column, nAlpha - 1)]);
  for (let row = 0; row < Math.max(1, nBeta - 1); row++) {
    for (let column = 0; column < Math.max(1, nAlpha - 1); column++) {
      if (known(row, column) && known(row, column + 1) && known(row + 1, column) && known(row + 1, column + 1))
        return true;
    }
  }
  return false;
}

/** Makes the field again when the frame, a control that matters to it or a common range changed. */
export function takeControls(shown: Shown, controls: Controls, common: (key: string) => Range | null): void {
  const { decoded, snapshotMeta } = shown;
  if (!decoded || !snapshotMeta) return;
  const index = isLine(decoded) ? 0 : (snapshotMeta.seeds ?? []).indexOf(controls.seed);
  if (!shown.snapshot || (decoded.runs && !isLine(decoded) && shown.run !== index))
    Object.assign(shown, { snapshot: chooseRun(decoded, index), run: index, field: null });
  const snapshot = shown.snapshot as Snapshot;
  const { quantity, scale, color, clip, limits, color_limits, levels } = controls;
  const reach = reachOfCurves(snapshot, quantity) ?? reachOf(snapshotMeta.trajectory, quantity);
  const choice = { quantity, scale, color, clip, limits, color_limits, levels, reach };
  const key = JSON.stringify(choice);
  const agreed = Object.entries(shown.common).every(([name, range]) => `${range}` === `${common(name)}`);
  if (shown.field && shown.fieldKey === key && agreed) {
    takePath(shown, shown.field, snapshotMeta);
    return;
  }
  // The ranges it is made with are noted first: once it is there, its own range is part of the common one.
  const used: Shown["common"] = {};
  const note = (name: string): Range | null => (used[name] = common(name));
  const field = makeField(snapshot, snapshotMeta.alpha, snapshotMeta.beta, { ...choice, common: note });
  const second = secondChannel(snapshot, field, note);
  shown.field = second ? { ...field, second } : field;
  shown.fieldKey = key;
  shown.common = used;
  shown.path = null;
  takePath(shown, shown.field, snapshotMeta);
}

/** Makes the path again when something about it changed; what stayed the same stays the same object. */
function takePath(shown: Shown, field: Field, { trajectory, marks = {} }: Meta): void {
  const same = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
  if (!trajectory) shown.path = null;
  else if (!shown.path || !same(shown.path.trajectory, trajectory)) shown.path = makePath(trajectory, field);
  if (!same(shown.marks, marks)) shown.marks = marks;
}

/** The ranges a field asks for itself, by quantity and scale. */
export const rangesOf = (f: Field | null): Map<string, Range> =>
  new Map(f ? [f, f.color, f.second ?? f].map((c): [string, Range] => [rangeKey(c), c.own]) : []);
