// The state of the picture: the last frame that could be read, and the field made from it.

import type { Controls } from "./controls.ts";
import { type Field, makeField, rangeKey } from "./field.ts";
import { makePath, type Path, reachOf } from "./path.ts";
import { chooseSeed, isLine, reachOfCurves, secondChannel } from "./seeds.ts";
import { decodeFrame, isSamePlane, type Marks, type Meta, parseMeta, type Range, type Snapshot } from "./wire.ts";

export interface PictureState {
  frame: DataView | null;
  /** The latest meta. */
  meta: Meta | null;
  /** The whole frame, decoded. */
  decoded: Snapshot | null;
  /** The part of the frame that is state: one of several seeds. */
  snapshot: Snapshot | null;
  /** The meta of the frame that is state. */
  snapshotMeta: Meta | null;
  field: Field | null;
  seedIndex: number;
  fieldKey: string;
  path: Path | null;
  marks: Marks;
  /** The shared ranges the field was made with. */
  common: Record<string, Range | null>;
}

export const emptyState = (): PictureState => ({
  frame: null,
  meta: null,
  decoded: null,
  snapshot: null,
  snapshotMeta: null,
  field: null,
  seedIndex: 0,
  fieldKey: "",
  path: null,
  marks: {},
  common: {},
});

/** Take in the latest frame; decode it only if it changed. */
export function takeFrame(state: PictureState, frame: DataView | null, json: unknown): void {
  const meta = parseMeta(json);
  if (!meta) return;
  const before = state.snapshotMeta;
  if (before && frame === state.frame && isSamePlane(meta, before)) {
    // The same bytes again, for example with another status: the picture stays.
    state.snapshotMeta = meta;
  } else if (frame !== state.frame || meta !== state.meta) {
    state.frame = frame;
    const snapshot = decodeFrame(frame, meta);
    // Ignore bytes that do not fit, and a plane without a single patch: the last picture is better than none.
    const isEmpty = snapshot !== null && meta.status === "running" && !hasPatch(snapshot);
    if (snapshot && !(isEmpty && before))
      Object.assign(state, { decoded: snapshot, snapshot: null, snapshotMeta: meta, field: null });
  }
  state.meta = meta;
}

/** True if there is anything to draw: a cell (of a line: a step) whose corners are all known. */
export function hasPatch({ nAlpha, nBeta, layers }: Snapshot): boolean {
  const [values = new Float32Array()] = layers.values();
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

/** Make the field again if the frame, one of its options or a shared range changed. */
export function takeControls(state: PictureState, controls: Controls, common: (key: string) => Range | null): void {
  const { decoded, snapshotMeta } = state;
  if (!decoded || !snapshotMeta) return;
  const index = isLine(decoded) ? 0 : (snapshotMeta.seeds ?? []).indexOf(controls.seed);
  if (!state.snapshot || (decoded.seeds && !isLine(decoded) && state.seedIndex !== index))
    Object.assign(state, { snapshot: chooseSeed(decoded, index), seedIndex: index, field: null });
  const snapshot = state.snapshot as Snapshot;
  const { quantity, scale, color, clip, limits, color_limits, levels } = controls;
  const reach = reachOfCurves(snapshot, quantity) ?? reachOf(snapshotMeta.trajectory, quantity);
  const options = {
    quantity,
    scale,
    color,
    clip,
    limits,
    color_limits,
    levels,
    reach,
    path: snapshotMeta.trajectory !== undefined,
  };
  const key = JSON.stringify(options);
  const agreed = Object.entries(state.common).every(([name, range]) => `${range}` === `${common(name)}`);
  if (state.field && state.fieldKey === key && agreed) {
    takePath(state, state.field, snapshotMeta);
    return;
  }
  // Record the shared ranges first: once the field exists, its own range is part of them.
  const used: PictureState["common"] = {};
  const record = (name: string): Range | null => (used[name] = common(name));
  const field = makeField(snapshot, snapshotMeta.alpha, snapshotMeta.beta, { ...options, common: record });
  const second = secondChannel(snapshot, field, record);
  state.field = second ? { ...field, second } : field;
  state.fieldKey = key;
  state.common = used;
  state.path = null;
  takePath(state, state.field, snapshotMeta);
}

/** Make the path again if something about it changed; otherwise keep the same object. */
function takePath(state: PictureState, field: Field, { trajectory, marks = {} }: Meta): void {
  const same = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
  if (!trajectory) state.path = null;
  else if (!state.path || !same(state.path.trajectory, trajectory)) state.path = makePath(trajectory, field);
  if (!same(state.marks, marks)) state.marks = marks;
}

/** Return the ranges that a field asks for, by quantity and scale. */
export const rangesOf = (f: Field | null): Map<string, Range> =>
  new Map(f ? [f, f.color, f.second ?? f].map((c): [string, Range] => [rangeKey(c), c.own]) : []);
