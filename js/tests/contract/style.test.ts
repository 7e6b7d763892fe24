// The options of the style, the constants of drawing and the wire: the viewer agrees with the tables of Python.

import assert from "node:assert/strict";
import { test } from "node:test";
import { initialCamera } from "../../src/gl/camera.ts";
import { type CameraState, CHOICES, type Levels, OVERLAYS, STYLE, type Style } from "../../src/model/controls.ts";
import { CONVEXITY_LIMITS } from "../../src/model/convexity.ts";
import { COLORMAPS } from "../../src/model/palette.ts";
import { MOST_SEEDS, seedsText } from "../../src/model/seeds.ts";
import { parseMeta, type Range } from "../../src/model/wire.ts";
import { chartY } from "../../src/plot/chart.ts";
import { readGolden } from "../support/golden.ts";
import { makeMeta } from "../support/make.ts";

const [golden] = readGolden("style");

/** What an option takes, which follows from its type. */
type KindOf<T> = [T] extends [boolean]
  ? "flag"
  : CameraState extends T
    ? "camera"
    : Levels extends T
      ? "levels"
      : Range extends T
        ? "range"
        : number extends T
          ? "number"
          : string extends T
            ? "name"
            : "choice";

const KINDS: { [K in keyof Style]: KindOf<Style[K]> } = {
  view: "choice",
  scale: "choice",
  quantity: "name",
  color: "name",
  colormap: "choice",
  clip: "number",
  levels: "levels",
  limits: "range",
  color_limits: "range",
  camera: "camera",
  show_contours: "flag",
  show_points: "flag",
  show_marks: "flag",
  show_path: "flag",
  show_drop_lines: "flag",
  show_labels: "flag",
  show_slices: "flag",
  show_panel: "flag",
};

test("the options, their types, defaults and choices are those of Python", () => {
  const table = Object.entries(STYLE).map(([name, value]) => [
    name,
    {
      kind: KINDS[name as keyof Style],
      default: value,
      choices: [...(CHOICES[name as keyof typeof CHOICES] ?? [])],
    },
  ]);
  assert.deepEqual(Object.fromEntries(table), golden.options);
  assert.deepEqual(Object.keys(STYLE), Object.keys(golden.options));
});

test("the controls offer every choice", () => {
  assert.deepEqual(
    COLORMAPS.map(([name]) => name),
    golden.options.colormap.choices,
  );
  const flags = Object.keys(golden.options).filter((name) => golden.options[name].kind === "flag");
  assert.deepEqual([...OVERLAYS, "show_panel"], flags);
});

test("the default camera and the constants of drawing are those of Python", () => {
  assert.deepEqual(initialCamera(), golden.camera);
  assert.deepEqual(CONVEXITY_LIMITS, golden.convexity_limits);
  assert.equal(MOST_SEEDS, golden.most_seeds);
  assert.equal(seedsText(5), golden.seeds_text);
  const frame = { x: 0, y: 0, width: 1, height: 1 };
  assert.ok(Math.abs(1 - chartY(frame, { lo: 0, hi: 1 }, 0) - golden.margin) < 1e-12);
});

test("every status that Python sends can be read, and no other version", () => {
  for (const status of golden.statuses) assert.ok(parseMeta({ ...makeMeta(3, 3), status }), status);
  assert.equal(parseMeta({ ...makeMeta(3, 3), status: "unknown" }), null);
  assert.ok(parseMeta({ ...makeMeta(3, 3), version: golden.version }));
  assert.equal(parseMeta({ ...makeMeta(3, 3), version: golden.version + 1 }), null);
});
