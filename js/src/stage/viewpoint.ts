// The camera as a person moves it. Every move is reported at once, and again when the camera has come to rest.

import { type Camera, cameraFrom, cameraState, initialCamera, orbit, PRESETS, panBy, zoomBy } from "../gl/camera.ts";
import { at } from "../model/access.ts";
import type { CameraState } from "../model/controls.ts";

export interface Viewpoint {
  camera: Camera;
  /** Set the camera without reporting it. */
  setCamera(state: Partial<CameraState>): void;
  preset(index: number): void;
  orbit(dx: number, dy: number): void;
  pan(dx: number, dy: number): void;
  zoom(factor: number): void;
  reset(): void;
  destroy(): void;
}

/** The camera has come to rest after this time without a move. */
const SETTLED_MS = 250;

/**
 * Moves are in CSS pixels of the element. `mayMove` returns whether there is anything to move; `moved` gets the
 * camera as a trait, and whether it has come to rest.
 */
export function makeViewpoint(
  element: HTMLElement,
  mayMove: () => boolean,
  moved: (camera: CameraState | Record<string, never>, settled: boolean) => void,
): Viewpoint {
  const camera = initialCamera();
  let settling: ReturnType<typeof setTimeout> | undefined;
  const change = (how: () => void): void => {
    if (!mayMove()) return;
    how();
    moved(cameraState(camera), false);
    clearTimeout(settling);
    settling = setTimeout(() => moved(cameraState(camera), true), SETTLED_MS);
  };
  return {
    camera,
    setCamera: (state) => void Object.assign(camera, cameraFrom(state)),
    preset(index) {
      const { azimuth, elevation } = at(PRESETS, index);
      change(() => Object.assign(camera, initialCamera(), { azimuth, elevation }));
    },
    orbit: (dx, dy) => change(() => orbit(camera, -dx * 0.009, dy * 0.009)),
    pan: (dx, dy) => change(() => panBy(camera, (2 * dx) / element.clientWidth, (-2 * dy) / element.clientHeight)),
    zoom: (factor) => change(() => zoomBy(camera, factor)),
    reset: () => change(() => Object.assign(camera, initialCamera())),
    destroy: () => clearTimeout(settling),
  };
}
