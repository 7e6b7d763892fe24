// A field as pixels: bilinear between grid points, an empty cell around a hole.

import { valueAt } from "../model/access.ts";
import { type Channel, unit } from "../model/channel.ts";
import type { Field } from "../model/field.ts";
import { tableIndex } from "../model/palette.ts";

/** Return RGBA bytes, top row first (beta upwards); the pixels of holes are transparent. */
export function rasterize(
  f: Channel & Pick<Field, "nAlpha" | "nBeta">,
  width: number,
  height: number,
  table: Uint8Array,
): Uint8ClampedArray<ArrayBuffer> {
  const { z, nAlpha, nBeta } = f;
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let py = 0; py < height; py++) {
    const y = (1 - (py + 0.5) / height) * (nBeta - 1);
    const r = Math.min(Math.floor(y), Math.max(nBeta - 2, 0));
    const v = nBeta > 1 ? y - r : 0;
    const [row0, row1] = [r * nAlpha, Math.min(r + 1, nBeta - 1) * nAlpha];
    for (let px = 0; px < width; px++) {
      const x = ((px + 0.5) / width) * (nAlpha - 1);
      const c = Math.min(Math.floor(x), Math.max(nAlpha - 2, 0));
      const u = nAlpha > 1 ? x - c : 0;
      const c1 = Math.min(c + 1, nAlpha - 1);
      const z00 = valueAt(z, row0 + c);
      const z10 = valueAt(z, row0 + c1);
      const z01 = valueAt(z, row1 + c);
      const z11 = valueAt(z, row1 + c1);
      let value = (1 - v) * ((1 - u) * z00 + u * z10) + v * ((1 - u) * z01 + u * z11);
      if (Number.isNaN(value)) {
        value = v < 0.5 ? (u < 0.5 ? z00 : z10) : u < 0.5 ? z01 : z11;
        if (Number.isNaN(value)) continue;
      }
      const i = tableIndex(unit(f, value));
      const o = (py * width + px) * 4;
      pixels[o] = table[i] ?? 0;
      pixels[o + 1] = table[i + 1] ?? 0;
      pixels[o + 2] = table[i + 2] ?? 0;
      pixels[o + 3] = 255;
    }
  }
  return pixels;
}
