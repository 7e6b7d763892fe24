import assert from "node:assert/strict";
import { test } from "node:test";
import { fileName } from "../../src/stage/export.ts";

test("files are named after the picture", () => {
  assert.equal(fileName("ResNet-56, no shortcuts", "contour", "svg"), "resnet-56-no-shortcuts-contour.svg");
  assert.equal(fileName("", "surface", "png"), "landscape-surface.png");
});
