import assert from "node:assert/strict";
import { test } from "node:test";
import { cameraFrom, cameraState, fitBox, initialCamera, makeProjection, PRESETS } from "../../src/gl/camera.ts";
import { HEIGHT } from "../../src/gl/mesh.ts";
import type { CameraState } from "../../src/model/controls.ts";

test("cameras are rounded, and the default one is empty", () => {
  assert.deepEqual(cameraState(initialCamera()), {});
  const state = cameraState({ ...initialCamera(), azimuth: 7, zoom: 1.23456789 }) as CameraState;
  assert.deepEqual([state.azimuth, state.zoom], [0.7168, 1.2346]);
  assert.deepEqual(cameraFrom(state).pan, [0, 0]);
  assert.equal(cameraFrom({ zoom: 2 }).elevation, initialCamera().elevation);
  assert.equal(PRESETS.length, 4);
});

test("the box fits between the labels from every side, down to narrow pictures", () => {
  for (const [width, height] of [
    [320, 300],
    [900, 540],
    [1600, 900],
  ] as const) {
    for (const elevation of [0, 0.5, 1.5]) {
      const room = { left: 40, right: 60, top: 12, bottom: 40 };
      const fit = fitBox([1, 0.7], elevation, width, height, room);
      for (let azimuth = 0; azimuth < 6.3; azimuth += Math.PI / 12) {
        const p = makeProjection({ azimuth, elevation, zoom: 1, pan: [0, 0] }, fit, width, height);
        for (let corner = 0; corner < 4; corner++) {
          const [x, y] = p.project(corner & 1 ? 1 : -1, corner & 2 ? 0.7 : -0.7, corner === 0 ? HEIGHT : 0);
          assert.ok(
            x >= room.left - 1 && x <= width - room.right + 1 && y >= room.top - 1 && y <= height - room.bottom + 1,
          );
        }
      }
    }
  }
});
