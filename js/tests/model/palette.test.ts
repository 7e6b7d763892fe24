import assert from "node:assert/strict";
import { test } from "node:test";
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

test("colors beyond the ends of a table are those of its ends", () => {
  for (const name of ["viridis", "cividis", "magma", "gray"] as const) {
    const table = colorTable(name);
    assert.deepEqual([cssColor(table, -1), cssColor(table, 2)], [cssColor(table, 0), cssColor(table, 1)]);
  }
});
