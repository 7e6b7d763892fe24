// The golden files that the tests of Python also read, see tests/contract/rules.

import { readFileSync } from "node:fs";
import { decodeFrame, type Meta, parseMeta, type Snapshot } from "../../src/model/wire.ts";

const SPECIAL: Record<string, number> = { "float nan": NaN, "float inf": Infinity, "float -inf": -Infinity };

/** Read the cases of a rule, with NaN and infinity as numbers. The tests run in the folder js/. */
// biome-ignore lint/suspicious/noExplicitAny: every golden file has its own shape
export const readGolden = (rule: string): any[] =>
  JSON.parse(readFileSync(`../tests/contract/rules/${rule}.json`, "utf8"), (_, value) => SPECIAL[value] ?? value);

export function viewOf(base64: string): DataView {
  const bytes = Buffer.from(base64, "base64");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Decode a picture that Python packed. */
export function decode({ meta: json, frame_base64 }: { meta: unknown; frame_base64: string }): {
  meta: Meta;
  frame: DataView;
  snapshot: Snapshot;
} {
  const meta = parseMeta(json);
  const frame = viewOf(frame_base64);
  const snapshot = meta && decodeFrame(frame, meta);
  if (!meta || !snapshot) throw new Error("the golden frame cannot be read");
  return { meta, frame, snapshot };
}

const isClose = (a: number, b: number): boolean =>
  Object.is(a, b) ||
  a === b ||
  (Number.isNaN(a) && Number.isNaN(b)) ||
  Math.abs(a - b) <= 2e-6 * Math.max(1e-3, Math.abs(b));

/** Return where two values differ, numbers by more than float32 explains; null if they do not. */
export function difference(actual: unknown, wanted: unknown, path = ""): string | null {
  if (typeof wanted === "number" && typeof actual === "number")
    return isClose(actual, wanted) ? null : `${path}: ${actual} instead of ${wanted}`;
  if (Array.isArray(wanted) && Array.isArray(actual) && actual.length === wanted.length) {
    for (const [i, part] of wanted.entries()) {
      const found = difference(actual[i], part, `${path}[${i}]`);
      if (found) return found;
    }
    return null;
  }
  if (
    typeof wanted === "object" &&
    wanted !== null &&
    typeof actual === "object" &&
    actual !== null &&
    !Array.isArray(wanted)
  ) {
    const names = Object.keys(wanted);
    if (`${names.sort()}` !== `${Object.keys(actual).sort()}`)
      return `${path}: ${Object.keys(actual)} instead of ${names}`;
    for (const name of names) {
      const found = difference(
        (actual as Record<string, unknown>)[name],
        (wanted as Record<string, unknown>)[name],
        `${path}.${name}`,
      );
      if (found) return found;
    }
    return null;
  }
  return actual === wanted ? null : `${path}: ${JSON.stringify(actual)} instead of ${JSON.stringify(wanted)}`;
}
