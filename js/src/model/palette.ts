// Perceptually uniform colors as 256-entry tables.

import { CIVIDIS, MAGMA, VIRIDIS } from "./colormaps.ts";
import type { ColormapName } from "./wire.ts";

export const TABLE_SIZE = 256;

export const COLORMAPS: [ColormapName, string][] = [
  ["viridis", "Viridis"],
  ["cividis", "Cividis"],
  ["magma", "Magma"],
  ["gray", "Gray"],
];

/** sRGB brightness is close to uniform to the eye; the ends stay off pure black and white, so that lines can be seen on both. */
const gray = (i: number): number => Math.round(24 + (i / (TABLE_SIZE - 1)) * 222) * 0x010101;

const read =
  (colors: string) =>
  (i: number): number =>
    Number.parseInt(colors.slice(i * 6, i * 6 + 6), 16);

const COLORS: Record<ColormapName, (i: number) => number> = {
  viridis: read(VIRIDIS),
  cividis: read(CIVIDIS),
  magma: read(MAGMA),
  gray,
};
const tables = new Map<ColormapName, Uint8Array>();

/** RGBA bytes, 256 x 4; the same array for the same name. Unknown names are viridis. */
export function colorTable(name: ColormapName = "viridis"): Uint8Array {
  const known = tables.get(name);
  if (known) return known;
  const table = new Uint8Array(TABLE_SIZE * 4);
  const color = COLORS[name] ?? COLORS.viridis;
  for (let i = 0; i < TABLE_SIZE; i++) table.set([color(i) >> 16, (color(i) >> 8) & 255, color(i) & 255, 255], i * 4);
  tables.set(name, table);
  return table;
}

/** Offset of the color at t (0..1, anything beyond is clamped). */
export const tableIndex = (t: number): number =>
  Math.max(0, Math.min(TABLE_SIZE - 1, Math.round(t * (TABLE_SIZE - 1)))) * 4;

export function cssColor(table: Uint8Array, t: number): string {
  const i = tableIndex(t);
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
}

/** Black or white, whichever is easier to read on the color at t. */
export function inkOn(table: Uint8Array, t: number): string {
  const i = tableIndex(t);
  return 0.2126 * table[i] + 0.7152 * table[i + 1] + 0.0722 * table[i + 2] > 125 ? "#10121a" : "#ffffff";
}
