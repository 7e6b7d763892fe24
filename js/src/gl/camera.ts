// A camera that orbits the axes box. Angles in radians; screen coordinates in CSS pixels, y down.

import type { mat4 as Mat4, vec3 as Vec3, vec4 as Vec4 } from "gl-matrix";
import * as mat4 from "gl-matrix/mat4";
import * as vec3 from "gl-matrix/vec3";
import * as vec4 from "gl-matrix/vec4";
import type { CameraState } from "../model/controls.ts";
import { FLOOR, HEIGHT } from "./mesh.ts";

export type Camera = CameraState;

export interface Projection {
  matrix: Mat4;
  eye: Vec3;
  /** Return the screen x, y and depth of a point. */
  project(x: number, y: number, z: number): [number, number, number];
  /** Return the ray through a screen point. */
  ray(x: number, y: number): { origin: Vec3; direction: Vec3 };
}

const FIELD_OF_VIEW = (28 * Math.PI) / 180;
const TARGET: Vec3 = [0, 0, (HEIGHT + FLOOR) / 2];

export const initialCamera = (): Camera => ({ azimuth: -1.02, elevation: 0.5, zoom: 1, pan: [0, 0] });

const STEEPEST = Math.PI / 2 - 0.001;

export interface Preset {
  name: string;
  title: string;
  azimuth: number;
  elevation: number;
}

/** Preset views, chosen with buttons or the keys 1 to 4. */
export const PRESETS: Preset[] = [
  { name: "Corner", title: "From a corner (1)", azimuth: -1.02, elevation: 0.5 },
  { name: "Top", title: "From above (2)", azimuth: -Math.PI / 2, elevation: STEEPEST },
  { name: "Front", title: "From the front, alpha to the right (3)", azimuth: -Math.PI / 2, elevation: 0.12 },
  { name: "Side", title: "From the side, beta to the right (4)", azimuth: 0, elevation: 0.12 },
];

/** Return the camera that a trait describes; what it leaves out has its default. */
export function cameraFrom(state: Partial<CameraState>): Camera {
  const camera = { ...initialCamera(), ...state };
  return { ...camera, pan: [...camera.pan] };
}

/** Return the camera as a trait: rounded, so that equal views compare equal, and empty for the default view. */
export function cameraState(c: Camera): CameraState | Record<string, never> {
  const round = (v: number): number => Math.round(v * 1e4) / 1e4;
  const turn = 2 * Math.PI;
  const state = {
    azimuth: round(c.azimuth - turn * Math.round(c.azimuth / turn)),
    elevation: round(c.elevation),
    zoom: round(c.zoom),
    pan: c.pan.map(round) as [number, number],
  };
  return JSON.stringify(state) === JSON.stringify(initialCamera()) ? {} : state;
}

export function orbit(c: Camera, dAzimuth: number, dElevation: number): void {
  c.azimuth += dAzimuth;
  c.elevation = Math.max(0, Math.min(STEEPEST, c.elevation + dElevation));
}

export function zoomBy(c: Camera, factor: number): void {
  c.zoom = Math.max(0.4, Math.min(12, c.zoom * factor));
}

export function panBy(c: Camera, dx: number, dy: number): void {
  const limit = 1.2 * Math.max(1, c.zoom);
  c.pan = [Math.max(-limit, Math.min(limit, c.pan[0] + dx)), Math.max(-limit, Math.min(limit, c.pan[1] + dy))];
}

const eyeAt = (azimuth: number, elevation: number, distance: number): Vec3 => [
  TARGET[0] + distance * Math.cos(elevation) * Math.cos(azimuth),
  TARGET[1] + distance * Math.cos(elevation) * Math.sin(azimuth),
  TARGET[2] + distance * Math.sin(elevation),
];

function viewProjection(azimuth: number, elevation: number, distance: number, aspect: number): Mat4 {
  const view = mat4.lookAt(mat4.create(), eyeAt(azimuth, elevation, distance), TARGET, [0, 0, 1]);
  const perspective = mat4.perspective(mat4.create(), FIELD_OF_VIEW, aspect, distance * 0.05, distance + 6);
  return mat4.multiply(mat4.create(), perspective, view);
}

/** Pixels to keep free on each side of the picture. */
export interface Room {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

export interface Fit {
  distance: number;
  shift: [number, number];
}

/** Return the extent of the box on the screen (-1..1) over all azimuths. */
function extent(
  half: [number, number],
  elevation: number,
  distance: number,
  aspect: number,
): { x: number; low: number; high: number } {
  let [x, low, high] = [0, Infinity, -Infinity];
  for (let azimuth = 0; azimuth < Math.PI; azimuth += Math.PI / 12) {
    const m = viewProjection(azimuth, elevation, distance, aspect);
    for (let corner = 0; corner < 8; corner++) {
      const p: Vec4 = [
        corner & 1 ? half[0] : -half[0],
        corner & 2 ? half[1] : -half[1],
        corner & 4 ? HEIGHT : FLOOR,
        1,
      ];
      vec4.transformMat4(p, p, m);
      x = Math.max(x, Math.abs(p[0] / p[3]));
      low = Math.min(low, p[1] / p[3]);
      high = Math.max(high, p[1] / p[3]);
    }
  }
  return { x, low, high };
}

/**
 * Find the smallest distance at which the box fits between the labels, and the shift that centers it there. They do not
 * depend on the azimuth, so that the box keeps its size while it turns.
 */
export function fitBox(half: [number, number], elevation: number, width: number, height: number, room: Room): Fit {
  const spanX = Math.max(0.5, 2 - (2 * (room.left + room.right)) / width);
  const spanY = Math.max(0.5, 2 - (2 * (room.top + room.bottom)) / height);
  let [near, far] = [2.2, 60];
  for (let i = 0; i < 16; i++) {
    const middle = (near + far) / 2;
    const { x, low, high } = extent(half, elevation, middle, width / height);
    if (2 * x <= spanX && high - low <= spanY) far = middle;
    else near = middle;
  }
  const { low, high } = extent(half, elevation, far, width / height);
  return {
    distance: far,
    shift: [(room.left - room.right) / width, (room.bottom - room.top) / height - (low + high) / 2],
  };
}

export function makeProjection(c: Camera, { distance, shift }: Fit, width: number, height: number): Projection {
  const matrix = viewProjection(c.azimuth, c.elevation, distance, width / height);
  const screen = mat4.create();
  mat4.translate(screen, screen, [c.pan[0] + shift[0], c.pan[1] + shift[1], 0]);
  mat4.scale(screen, screen, [c.zoom, c.zoom, 1]);
  mat4.multiply(matrix, screen, matrix);
  const inverse = mat4.invert(mat4.create(), matrix) ?? mat4.create();
  const eye = eyeAt(c.azimuth, c.elevation, distance);
  return {
    matrix,
    eye,
    project(x, y, z) {
      const p = vec4.transformMat4(vec4.create(), [x, y, z, 1], matrix);
      return [((p[0] / p[3] + 1) / 2) * width, ((1 - p[1] / p[3]) / 2) * height, p[2] / p[3]];
    },
    ray(x, y) {
      const far = vec3.transformMat4(vec3.create(), [(x / width) * 2 - 1, 1 - (y / height) * 2, 1], inverse);
      const direction = vec3.subtract(vec3.create(), far, eye);
      return { origin: eye, direction: vec3.normalize(direction, direction) };
    },
  };
}
