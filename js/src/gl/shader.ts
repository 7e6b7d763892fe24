// The shaders of the 3D picture: the lit surface, its contour lines on the floor, and its grid points.

export const VERTEX = `#version 300 es
layout(location = 0) in vec3 position;
layout(location = 1) in vec2 levelAndColor;
layout(location = 2) in vec3 normal;
layout(location = 3) in float evaluated;
uniform mat4 matrix;
uniform float floorZ;
uniform float pointSize;
uniform bool onFloor;
uniform bool asPoints;
out float v_evaluated;
out vec3 v_normal;
out vec3 v_position;
out vec2 v_value;
out float v_height;
void main() {
  v_normal = normal;
  v_value = levelAndColor;
  v_height = position.z;
  v_position = vec3(position.xy, onFloor ? floorZ : position.z);
  v_evaluated = evaluated;
  gl_Position = matrix * vec4(v_position, 1.0);
  if (!asPoints) return;
  // In front of its triangles. Holes have no normal and no point.
  gl_Position.z -= 0.0015 * gl_Position.w;
  gl_PointSize = evaluated > 0.5 ? pointSize : 0.5 * pointSize;
  if (dot(normal, normal) < 0.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
}`;

// Light and shade change the brightness of a color by at most a third, so that it still matches the color bar.
export const FRAGMENT = `#version 300 es
precision highp float;
in vec3 v_normal;
in vec3 v_position;
in vec2 v_value;
in float v_height;
uniform sampler2D table;
uniform vec3 eye;
uniform vec3 light;
uniform float top;
uniform float lineWidth;
uniform float lift;
uniform bool onFloor;
uniform bool asPoints;
uniform bool withLines;
in float v_evaluated;
out vec4 color;
void main() {
  if (v_height > top + 1e-4 || v_height < -1e-4) discard;
  if (asPoints) {
    // Evaluated: a dark dot with a light rim. Interpolated: a small light dot.
    float r = 2.0 * length(gl_PointCoord - 0.5);
    if (r > 1.0) discard;
    color = vec4(mix(vec3(0.06, 0.07, 0.1), vec3(1.0), v_evaluated > 0.5 ? smoothstep(0.5, 0.75, r) : 1.0), 1.0);
    return;
  }
  // A plateau exactly on a level would be all line.
  float plateau = step(fwidth(v_value.x), 1e-6);
  float width = max(fwidth(v_value.x), 1e-6);
  float away = abs(fract(v_value.x + 0.5) - 0.5) / width;
  float line = 1.0 - smoothstep(lineWidth - 0.5, lineWidth + 0.5, away);
  line *= (1.0 - smoothstep(0.35, 0.7, width)) * (1.0 - plateau) * (withLines ? 1.0 : 0.0);
  float t = clamp(v_value.y, 0.0, 1.0);
  vec3 base = texture(table, vec2((t * 255.0 + 0.5) / 256.0, 0.5)).rgb;
  // The layer that colors has no value here.
  if (v_value.y < -1e-4) base = vec3(0.5);
  if (onFloor) {
    float opacity = 0.16 + 0.84 * line;
    color = vec4(mix(base, vec3(1.0), lift * line) * opacity, opacity);
    return;
  }
  vec3 toEye = normalize(eye - v_position);
  vec3 n = normalize(v_normal);
  if (dot(n, toEye) < 0.0) n = -n;
  float diffuse = max(dot(n, light), 0.0);
  float shine = pow(max(dot(n, normalize(light + toEye)), 0.0), 40.0);
  vec3 lit = base * (0.66 + 0.42 * diffuse) + vec3(0.10 * shine);
  float luminance = dot(base, vec3(0.2126, 0.7152, 0.0722));
  vec3 ink = luminance > 0.35 ? lit * 0.62 : mix(lit, vec3(1.0), 0.38);
  color = vec4(mix(lit, ink, 0.75 * line), 1.0);
}`;
