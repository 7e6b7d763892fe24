// The line under the picture: what is at a grid point, or at the center.

import { alphaAt, betaAt, type Field, type GridPoint } from "./field.ts";
import { unscale } from "./channel.ts";
import { formatNumber, formatPercent, formatValue, isPercent, quantityName } from "./format.ts";
import { capturedText, type Path } from "./path.ts";
import { isLine } from "./runs.ts";
import type { Meta, Snapshot } from "./wire.ts";

function valueText(snapshot: Snapshot, name: string, i: number): string {
  const value = snapshot.layers.get(name)?.[i];
  if (value === undefined) return "";
  if (!Number.isFinite(value)) return `${name.replaceAll("_", " ")} ${formatNumber(value)}`;
  const error = snapshot.layers.get(`${name}_stderr`)?.[i];
  const spread = error !== undefined && Number.isFinite(error) && error > 0;
  const around = spread ? ` ± ${isPercent(name) ? formatPercent(error) : formatNumber(error, 2)}` : "";
  return `${name.replaceAll("_", " ")} ${formatValue(value, name)}${around}`;
}

/** "evaluated", "interpolated" (or "sketched"), "not finite" or "not computed yet" for grid point i. */
export function pointState(snapshot: Snapshot, quantity: string, i: number, sketched = false): string {
  const evaluated = (snapshot.layers.get("evaluated")?.[i] ?? 1) !== 0;
  const finite = Number.isFinite(snapshot.layers.get(quantity)?.[i] ?? NaN);
  if (evaluated) return finite ? "evaluated" : "not finite";
  if (!finite) return "not computed yet";
  return sketched ? "sketched" : "interpolated";
}

/** Everything about one grid point, the chosen quantity and its error first. */
export function describePoint(snapshot: Snapshot, field: Field, point: GridPoint, sketched = false): string {
  const i = point.row * field.nAlpha + point.column;
  const names = new Set([field.quantity.replace(/_stderr$/, ""), "loss", "accuracy"]);
  for (const name of snapshot.layers.keys()) {
    if (name !== "evaluated" && !name.endsWith("_stderr")) names.add(name);
  }
  return [
    `alpha ${formatNumber(alphaAt(field, point.column), 3)}`,
    `beta ${formatNumber(betaAt(field, point.row), 3)}`,
    ...[...names].map((name) => valueText(snapshot, name, i)).filter(Boolean),
    snapshot.runs && isLine(snapshot) ? `mean of ${snapshot.runs.length} seeds` : pointState(snapshot, field.quantity, i, sketched),
  ].join(" · ");
}

/** A checkpoint of the training path: what it really is, and how far the picture is from that. */
export function describeCheckpoint(path: Path, field: Field, index: number): string {
  const { label, real, surface, outside } = path.checkpoints[index];
  const { values, learning_rate: rates } = path.trajectory;
  const word = field.quantity.replaceAll("_", " ");
  const value = (z: number): string => formatValue(unscale(z, field.scale), field.quantity);
  const other = Object.keys(values).filter((name) => name !== field.quantity && !name.endsWith("_stderr"));
  return [
    /\D/.test(label) ? label : `checkpoint ${label}`,
    Number.isNaN(real) ? `${word} not known` : `${word} ${value(real)}`,
    Number.isNaN(surface) ? "" : `surface ${value(surface)}`,
    ...other.map((name) => (typeof values[name][index] === "number" ? `${name.replaceAll("_", " ")} ${formatValue(values[name][index], name)}` : "")),
    `${formatPercent(outside)} outside the plane`,
    typeof rates?.[index] === "number" ? `learning rate ${formatNumber(rates[index], 3)}` : "",
  ].filter(Boolean).join(" · ");
}

/** What is known of the center, for when nothing is under the pointer. */
export function describeCenter(meta: Meta): string {
  const center = meta.center;
  if (!center) return "";
  const known = Object.entries(center).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  if (!known.length) return "";
  const values = known
    .filter(([name]) => !name.endsWith("_stderr"))
    .map(([name, value]) => {
      const error = center[`${name}_stderr`];
      const around = typeof error === "number" && error > 0 ? ` ± ${isPercent(name) ? formatPercent(error) : formatNumber(error, 2)}` : "";
      return `${name.replaceAll("_", " ")} ${formatValue(value, name)}${around}`;
    });
  return [`At the center: ${values.join(" · ")}`, meta.center_on_grid ? "" : "off the grid"].filter(Boolean).join(" · ");
}

/** The sentence a screen reader hears for the picture. */
export function describePicture(field: Field, plot: string, path: Path | null = null): string {
  const range = Number.isFinite(field.min)
    ? `from ${formatValue(field.min, field.quantity)} to ${formatValue(field.max, field.quantity)}`
    : "no finite value yet";
  const side = (name: string, [lo, hi]: [number, number]): string => `${name} from ${formatNumber(lo)} to ${formatNumber(hi)}`;
  const run = path && plot !== "line" && plot !== "point" ? `; training path of ${path.checkpoints.length} checkpoints` : "";
  const captured = run && path ? (capturedText(path) ?? "") : "";
  const log = field.scale === "log" ? ", log scale" : "";
  return (
    `${quantityName(field.quantity)} ${plot}, ${field.nAlpha} by ${field.nBeta} points, ` +
    `${side("alpha", field.alpha)}, ${side("beta", field.beta)}; values ${range}${run}${captured && `. ${captured}`}${log}`
  );
}
