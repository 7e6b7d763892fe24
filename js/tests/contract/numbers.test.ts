// Numbers, names, ticks and levels: the viewer agrees with the golden files, as Python does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isHessianLayer } from "../../src/model/convexity.ts";
import { alphaAt } from "../../src/model/field.ts";
import {
  formatNumber,
  formatPercent,
  formatValue,
  isPercent,
  quantityName,
  tickLabels,
} from "../../src/model/format.ts";
import { parseLayerName, siblings } from "../../src/model/layerNames.ts";
import { colorTable } from "../../src/model/palette.ts";
import { capturedText, findDrops, opacityOf, type Path } from "../../src/model/path.ts";
import { bandOfSeeds, secondQuantity } from "../../src/model/seeds.ts";
import { contourLevels, valueTicks } from "../../src/model/ticks.ts";
import type { Snapshot } from "../../src/model/wire.ts";
import { levelLabels } from "../../src/plot/contourLabels.ts";
import { difference, readGolden } from "../support/golden.ts";
import { fieldOf } from "../support/make.ts";

const agree = (actual: unknown, wanted: unknown, title = ""): void =>
  assert.equal(difference(actual, wanted), null, title);

test("numbers are written alike", () => {
  for (const { value, texts, percent, loss, accuracy } of readGolden("numbers")) {
    const written = [2, 3, 4].map((digits) => formatNumber(value, digits));
    agree(written, texts, String(value));
    agree([formatPercent(value), formatValue(value, "test_loss")], [percent, loss], String(value));
    agree(formatValue(value, "train_accuracy_stderr"), accuracy, String(value));
  }
});

test("labels of ticks are written alike", () => {
  for (const { values, percent, labels } of readGolden("labels"))
    agree(tickLabels(values, percent), labels, `${values}`);
});

test("layers have the same names", () => {
  for (const { name, parts, shown, percent, hessian } of readGolden("names")) {
    const { loader, base, isError } = parseLayerName(name);
    agree([loader, base, isError], parts, name);
    agree([quantityName(name), isPercent(name), isHessianLayer(name)], [shown, percent, hessian], name);
  }
});

test("the same layers belong together", () => {
  for (const { layers, quantity, color, siblings: same, second } of readGolden("layers")) {
    const snapshot: Snapshot = {
      nAlpha: 2,
      nBeta: 1,
      layers: new Map(layers.map((name: string) => [name, Float32Array.of(1, 2)])),
    };
    const height = fieldOf(1, 2, () => 1, { quantity });
    const field = color === null ? height : { ...height, color: fieldOf(1, 2, () => 1, { quantity: color }) };
    agree([siblings(snapshot, quantity), secondQuantity(snapshot, field)], [same, second], `${layers} ${quantity}`);
  }
});

test("ticks are at the same places", () => {
  for (const { range, scale, count, percent, ticks } of readGolden("ticks")) {
    const found = valueTicks(range[0], range[1], scale, count, percent).map(({ at, label }) => [at, label]);
    agree(found, ticks, `${range} ${scale} ${count}`);
  }
});

test("contour levels are at the same heights, with the same labels", () => {
  for (const { range, scale, levels, path, at, labels, percents } of readGolden("levels")) {
    const title = `${range} ${scale} ${levels} ${path}`;
    const found = contourLevels(range[0], range[1], scale, levels, path);
    agree(found, at, title);
    const labelsOf = (percent: boolean): string[] => {
      const named = levelLabels({ levels: found, scale, percent });
      return found.map((level) => named.get(level) ?? "");
    };
    agree([labelsOf(false), labelsOf(true)], [labels, percents], title);
  }
});

test("several seeds have the same median and quartiles", () => {
  for (const { rows, median, low, high } of readGolden("bands")) {
    const band = bandOfSeeds(rows);
    agree([[...band.median], [...band.low], [...band.high]], [median, low, high], `${rows}`);
  }
});

test("lowered learning rates, opacities and the captured share of a path are the same", () => {
  const [{ rates, outside, opacity, captured }] = readGolden("paths") as [never];
  for (const { rates: some, drops } of rates as { rates: number[]; drops: number[] }[]) {
    const found = findDrops(some.map((rate) => (Number.isNaN(rate) ? null : rate)));
    agree(
      found.flatMap((drop, i) => (drop ? [i] : [])),
      drops,
      `${some}`,
    );
  }
  agree((outside as number[]).map(opacityOf), opacity);
  for (const { share, text } of captured as { share: number; text: string }[])
    agree(capturedText({ captured: share } as Path), text);
});

test("colormaps have the same colors", () => {
  for (const { name, colors } of readGolden("colors")) {
    const table = colorTable(name).filter((_, i) => i % 4 < 3);
    assert.equal(Buffer.from(table).toString("hex"), colors, name);
  }
});

test("grid points are at the same places", () => {
  for (const { range, n, coordinates } of readGolden("grids")) {
    const grid = { alpha: range, nAlpha: n };
    agree(
      Array.from({ length: n }, (_, i) => alphaAt(grid, i)),
      coordinates,
      `${range}`,
    );
  }
});
