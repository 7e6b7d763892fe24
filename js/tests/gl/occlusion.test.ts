import assert from "node:assert/strict";
import { test } from "node:test";
import { fitBox, initialCamera, makeProjection } from "../../src/gl/camera.ts";
import { HEIGHT, makeMesh } from "../../src/gl/mesh.ts";
import { makeOcclusion } from "../../src/gl/occlusion.ts";
import { fieldOf } from "../support/make.ts";

test("the surface occludes what lies behind it and below it", () => {
  // A ridge along x in the middle, seen along y from a low camera.
  const f = fieldOf(41, 41, (r) => 1 - Math.min(1, Math.abs(r - 20) / 10));
  const mesh = makeMesh(f);
  const camera = { ...initialCamera(), azimuth: -Math.PI / 2, elevation: 0.2 };
  const p = makeProjection(
    camera,
    fitBox(mesh.half, 0.2, 600, 400, { left: 40, right: 40, top: 10, bottom: 40 }),
    600,
    400,
  );
  const hidden = makeOcclusion(f, mesh, p);
  assert.equal(hidden(0, 0.8, 0.1), true);
  assert.equal(hidden(0, -0.8, 0.1), false);
  assert.equal(hidden(0, 0, HEIGHT), false);
  assert.equal(hidden(0, 0.8, HEIGHT), false);
  assert.equal(hidden(0, 0, 0.3), true);
});
