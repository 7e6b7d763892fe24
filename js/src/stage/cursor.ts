// The cursor: the grid point under the pointer, or moved by keys.

import type { Field, GridPoint } from "../model/field.ts";
import { type Path, pointOf } from "../model/path.ts";
import type { Plot, Scene } from "../plot/plot.ts";

export interface Cursor {
  /** The pointer is at this point of the canvas, or has left it. */
  hover(at: [number, number] | null): void;
  /** Ignore the pointer while the picture moves under it. */
  leave(): void;
  /** Move the cursor by grid steps, from the middle if there is none. */
  step(f: Field, dColumn: number, dRow: number): void;
  /** Move the cursor along the training path. */
  stepPath(f: Field, path: Path, by: 1 | -1): void;
  /** Return the grid point of the cursor in a picture; null if there is none. */
  find(plot: Plot, scene: Scene): GridPoint | null;
}

const clamp = (i: number, n: number): number => Math.max(0, Math.min(n - 1, i));

export function makeCursor(changed: () => void): Cursor {
  let point: GridPoint | null = null;
  let hoverAt: [number, number] | null = null;
  return {
    hover(at) {
      hoverAt = at;
      if (!at) point = null;
      changed();
    },
    leave() {
      hoverAt = null;
    },
    step(f, dColumn, dRow) {
      // All arrow keys go along a single line.
      if (f.nAlpha === 1) dRow ||= dColumn;
      if (f.nBeta === 1) dColumn ||= dRow;
      const from = point ?? { column: Math.floor(f.nAlpha / 2) - dColumn, row: Math.floor(f.nBeta / 2) - dRow };
      hoverAt = null;
      point = { column: clamp(from.column + dColumn, f.nAlpha), row: clamp(from.row + dRow, f.nBeta) };
      changed();
    },
    stepPath(f, path, by) {
      const n = path.checkpoints.length;
      if (!n) return;
      const next = point?.checkpoint === undefined ? (by > 0 ? 0 : n - 1) : point.checkpoint + by;
      hoverAt = null;
      point = pointOf(path, clamp(next, n), f);
      changed();
    },
    find(plot, { field, path }) {
      if (hoverAt) point = plot.pick(...hoverAt);
      const there =
        point &&
        point.row < field.nBeta &&
        point.column < field.nAlpha &&
        (point.checkpoint ?? -1) < (path?.checkpoints.length ?? 0);
      if (!there) point = null;
      return point;
    },
  };
}
