// Scales, surfaces and lines: what the viewer draws of a packed result is what figures draw.

import assert from "node:assert/strict";
import { test } from "node:test";
import { commonRanges } from "../../src/group.ts";
import { type Channel, makeChannel } from "../../src/model/channel.ts";
import { type Controls, DEFAULTS } from "../../src/model/controls.ts";
import { type Field, lowest } from "../../src/model/field.ts";
import { emptyState, type PictureState, rangesOf, takeControls, takeFrame } from "../../src/model/state.ts";
import type { Range } from "../../src/model/wire.ts";
import type { Series } from "../../src/plot/chart.ts";
import { makeChart } from "../../src/plot/line.ts";
import type { Scene } from "../../src/plot/plot.ts";
import { decode, difference, readGolden } from "../support/golden.ts";

const agree = (actual: unknown, wanted: unknown, title = ""): void =>
  assert.equal(difference(actual, wanted), null, title);

const scaleOf = (c: Channel): [string, string, number, number] => [c.quantity, c.scale, c.lo, c.hi];

/** The state of a viewer that shows a packed picture. */
function show(
  picture: { meta: unknown; frame_base64: string },
  style: Partial<Controls>,
  common: (key: string) => Range | null = () => null,
): PictureState & { field: Field } {
  const { frame } = decode(picture);
  const state = emptyState();
  takeFrame(state, frame, picture.meta);
  takeControls(state, { ...DEFAULTS, ...style }, common);
  if (!state.field) throw new Error("nothing is drawn");
  return { ...state, field: state.field };
}

test("scales have the same ends", () => {
  const [{ values, scales }] = readGolden("scales") as [never];
  for (const { title, scale, options, range, own, is_cut, is_flat } of scales as Record<string, never>[]) {
    const channel = makeChannel("loss", Float32Array.from(values[title ?? ""] as number[]), scale ?? "linear", options);
    const what = `${title} ${scale} ${JSON.stringify(options)}`;
    agree([channel.lo, channel.hi], range, what);
    agree([channel.own, channel.cut !== null, channel.flat], [own, is_cut, is_flat], what);
  }
});

test("surfaces have the same scales, colors, levels and lowest point", () => {
  for (const { title, cases, ...picture } of readGolden("surfaces")) {
    for (const { style, height, color, levels, lowest: place } of cases) {
      const { field } = show(picture, style);
      const what = `${title} ${JSON.stringify(style)}`;
      agree(scaleOf(field), height, what);
      agree(scaleOf(field.color), color, what);
      agree(field.levels, levels, what);
      const found = lowest(field);
      agree(found && [found.row, found.column], place, what);
    }
  }
});

test("compared landscapes share the same ranges", () => {
  for (const { style, pictures, common, heights } of readGolden("compared")) {
    const fields = pictures.map((picture: never) => show(picture, style).field);
    const shared = commonRanges(fields.map((field: Field) => ({ ranges: () => rangesOf(field) })));
    agree(Object.fromEntries(shared), common, JSON.stringify(style));
    const key = (name: string): Range | null => shared.get(name) ?? null;
    agree(
      pictures.map((picture: never) => scaleOf(show(picture, style, key).field).slice(1)),
      heights,
    );
  }
});

const ctx = { measureText: () => ({ width: 20 }) } as unknown as CanvasRenderingContext2D;
const theme = { dark: false, background: "", text: "", muted: "", grid: "", pane: "", accent: "", font: "sans" };

/** Every third value, as in the golden file. */
const some = (values: ArrayLike<number>): number[] => Array.from(values).filter((_, i) => i % 3 === 0);

const curveOf = ({ name, side, style, color, seeds, y, band }: Series) => ({
  name,
  side,
  dash: style,
  color,
  n_seeds: seeds?.length ?? 0,
  y: some(y),
  band: band ? [some(band.low), some(band.high)] : null,
});

test("lines have the same curves, bands and axes", () => {
  for (const { title, cases, ...picture } of readGolden("lines")) {
    for (const { style, left, right, remark, curves } of cases) {
      const { field, snapshot } = show(picture, style);
      const what = `${title} ${JSON.stringify(style)}`;
      agree(scaleOf(field), left, what);
      agree(field.second ? scaleOf(field.second) : null, right, what);
      const scene = { field, snapshot, theme, width: 900, height: 600 } as unknown as Scene;
      const chart = makeChart(ctx, scene);
      agree(chart.remark, remark, what);
      agree(chart.series.map(curveOf), curves, what);
    }
  }
});
