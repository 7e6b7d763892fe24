// gl-matrix ships types for its main entry only; the single modules are imported because only they can be tree-shaken.

declare module "gl-matrix/mat4" {
  import { mat4 } from "gl-matrix";
  export const create: typeof mat4.create;
  export const invert: typeof mat4.invert;
  export const lookAt: typeof mat4.lookAt;
  export const multiply: typeof mat4.multiply;
  export const perspective: typeof mat4.perspective;
  export const scale: typeof mat4.scale;
  export const translate: typeof mat4.translate;
}

declare module "gl-matrix/vec3" {
  import { vec3 } from "gl-matrix";
  export const create: typeof vec3.create;
  export const normalize: typeof vec3.normalize;
  export const subtract: typeof vec3.subtract;
  export const transformMat4: typeof vec3.transformMat4;
}

declare module "gl-matrix/vec4" {
  import { vec4 } from "gl-matrix";
  export const create: typeof vec4.create;
  export const transformMat4: typeof vec4.transformMat4;
}
