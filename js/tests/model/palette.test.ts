import assert from "node:assert/strict";
import { test } from "node:test";
import { interpolateCividis, interpolateMagma, interpolateViridis } from "d3-scale-chromatic";
import { at } from "../../src/model/access.ts";
import { colorTable, cssColor } from "../../src/model/palette.ts";

test("grays and the other colormaps are complete and get lighter", () => {
  for (const name of ["viridis", "cividis", "magma", "gray"] as const) {
    const table = colorTable(name);
    const light = (i: number): number =>
      0.2126 * at(table, 4 * i) + 0.7152 * at(table, 4 * i + 1) + 0.0722 * at(table, 4 * i + 2);
    for (let i = 8; i < 256; i += 8) assert.ok(light(i) > light(i - 8) - 1, `${name} ${i}`);
    assert.equal(colorTable(name), table);
  }
});

test("the color tables are viridis, cividis and magma", () => {
  const numbers = (color: string): number[] =>
    color.startsWith("#")
      ? [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16))
      : (color.match(/\d+/g) ?? []).map(Number);
  const wanted = { viridis: interpolateViridis, cividis: interpolateCividis, magma: interpolateMagma };
  for (const [name, color] of Object.entries(wanted)) {
    const table = colorTable(name as keyof typeof wanted);
    for (let i = 0; i < 256; i++) assert.deepEqual([...table.slice(4 * i, 4 * i + 3)], numbers(color(i / 255)));
    assert.equal(cssColor(table, -1), cssColor(table, 0));
  }
});
