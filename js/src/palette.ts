// Perceptually uniform colors as 256-entry tables.

import { VIRIDIS } from "./viridis.ts";

export const TABLE_SIZE = 256;

/** RGBA bytes, 256 x 4, from 256 colors of six hexadecimal digits. */
export function colorTable(colors = VIRIDIS): Uint8Array {
  const table = new Uint8Array(TABLE_SIZE * 4);
  for (let i = 0; i < TABLE_SIZE; i++) {
    const rgb = Number.parseInt(colors.slice(i * 6, i * 6 + 6), 16);
    table.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255], i * 4);
  }
  return table;
}

/** Offset of the color at t (0..1, anything beyond is clamped). */
export const tableIndex = (t: number): number => Math.max(0, Math.min(TABLE_SIZE - 1, Math.round(t * (TABLE_SIZE - 1)))) * 4;

export function cssColor(table: Uint8Array, t: number): string {
  const i = tableIndex(t);
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
}

/** Black or white, whichever is easier to read on the color at t. */
export function inkOn(table: Uint8Array, t: number): string {
  const i = tableIndex(t);
  return 0.2126 * table[i] + 0.7152 * table[i + 1] + 0.0722 * table[i + 2] > 125 ? "#10121a" : "#ffffff";
}
