// The line below the picture: the values at a grid point, at a checkpoint or at the center.

import { at } from "../model/access.ts";
import { unscale } from "../model/channel.ts";
import { isHessianLayer, SYMBOLS } from "../model/convexity.ts";
import { alphaAt, betaAt, type Field, type GridPoint } from "../model/field.ts";
import { formatNumber, formatPercent, formatValue, isPercent, quantityName } from "../model/format.ts";
import { capturedText, type Path } from "../model/path.ts";
import { isLine } from "../model/seeds.ts";
import type { Failed, Meta, Snapshot } from "../model/wire.ts";

const isShownAtPoints = (name: string): boolean =>
  name !== "evaluated" && !name.endsWith("_stderr") && (!isHessianLayer(name) || name in SYMBOLS);

/** Return the layers shown at a point, the chosen ones first. */
const shownNames = (names: Iterable<string>, ...chosen: string[]): string[] => [
  ...new Set([...chosen, ...[...names].filter(isShownAtPoints)]),
];

/** True if the readout of a point needs more than one row. */
export const isLong = ({ layers, failed }: Pick<Snapshot, "layers" | "failed">): boolean =>
  failed !== undefined || shownNames(layers.keys()).length > 3;

/** Format a value with its standard error, or an eigenvalue with its residual if that is large enough to matter. */
function valueText(name: string, layerValue: (name: string) => number | undefined): string {
  const value = layerValue(name);
  if (value === undefined) return "";
  const label = SYMBOLS[name] ?? name.replaceAll("_", " ");
  const [curved, known] = [isHessianLayer(name), Number.isFinite(value)];
  const error = layerValue(curved ? name.replace("lambda", "residual") : `${name}_stderr`);
  const seen =
    error !== undefined &&
    Number.isFinite(error) &&
    error > (curved && known ? 1e-3 * Math.abs(value) : 0) &&
    (!curved || name.startsWith("lambda"));
  const around = seen ? ` ± ${isPercent(name) ? formatPercent(error) : formatNumber(error, 2)}` : "";
  // The smallest eigenvalue is NaN if it cannot be distinguished from zero.
  if (!known && name === "convexity") return "";
  if (!known) return `${label} ${name === "lambda_min" && around ? `0${around}` : formatNumber(value)}`;
  return `${label} ${curved ? formatNumber(value, 3) : formatValue(value, name)}${around}`;
}

const LONGEST_REASON = 160;

/** Return the reason why there is no value, in one line; the table and the attributes of the result have all of it. */
export function holeText(reason: string): string {
  const line = reason.replace(/\s+/g, " ");
  return `no value here: ${line.length > LONGEST_REASON ? `${line.slice(0, LONGEST_REASON)}…` : line}`;
}

/** True if model or loss failed at grid point i, so that a layer has no value. */
const isHole = ({ layers, failed }: Snapshot, layer: string, i: number): boolean =>
  failed?.at.has(i) === true && Number.isNaN(layers.get(layer)?.[i] ?? NaN);

/**
 * Return "evaluated", "interpolated" (or "sketched"), "not finite", the reason why there is no value, or "not computed
 * yet" for grid point i.
 */
export function pointState(snapshot: Snapshot, quantity: string, i: number, sketched = false): string {
  const evaluated = (snapshot.layers.get("evaluated")?.[i] ?? 1) !== 0;
  const finite = Number.isFinite(snapshot.layers.get(quantity)?.[i] ?? NaN);
  if (evaluated && snapshot.failed && isHole(snapshot, quantity, i)) return holeText(snapshot.failed.reason);
  if (evaluated) return finite ? "evaluated" : "not finite";
  if (!finite) return "not computed yet";
  return sketched ? "sketched" : "interpolated";
}

/** Describe a grid point: place, values (the chosen quantity first) and state. */
export function describePoint(snapshot: Snapshot, field: Field, point: GridPoint, sketched = false): string {
  const i = point.row * field.nAlpha + point.column;
  // The number of Hessian products is known at every point whose eigenvalues were computed.
  const awaited = Number.isNaN(snapshot.layers.get("hvps")?.[i] ?? 0);
  const state =
    snapshot.seeds && isLine(snapshot) && !isHole(snapshot, field.quantity, i)
      ? `median of ${snapshot.seeds.length} seeds`
      : pointState(snapshot, field.quantity, i, sketched);
  const names = shownNames(snapshot.layers.keys(), field.quantity.replace(/_stderr$/, ""), "loss", "accuracy");
  return [
    `alpha ${formatNumber(alphaAt(field, point.column), 3)}`,
    `beta ${formatNumber(betaAt(field, point.row), 3)}`,
    ...names
      .filter((name) => (!awaited || !isHessianLayer(name)) && !isHole(snapshot, name, i))
      .map((name) => valueText(name, (layer) => snapshot.layers.get(layer)?.[i]))
      .filter(Boolean),
    ...(!awaited
      ? [state]
      : isHessianLayer(field.quantity)
        ? ["not computed yet"]
        : [state, "eigenvalues not computed yet"]),
  ].join(" · ");
}

/** Describe a checkpoint of the training path: its real values, and how far it is from the picture. */
export function describeCheckpoint(path: Path, field: Field, index: number, failed?: Failed): string {
  const { label, real, surface, outside } = at(path.checkpoints, index);
  const { values, learning_rate: rates } = path.trajectory;
  const word = field.quantity.replaceAll("_", " ");
  const value = (z: number): string => formatValue(unscale(z, field.scale), field.quantity);
  const other = Object.keys(values).filter((name) => name !== field.quantity && !name.endsWith("_stderr"));
  return [
    /\D/.test(label) ? label : `checkpoint ${label}`,
    !Number.isNaN(real)
      ? `${word} ${value(real)}`
      : failed?.at.includes(index)
        ? holeText(failed.reason)
        : `${word} not known`,
    Number.isNaN(surface) ? "" : `surface ${value(surface)}`,
    ...other.map((name) => {
      const known = values[name]?.[index];
      return typeof known === "number" ? `${name.replaceAll("_", " ")} ${formatValue(known, name)}` : "";
    }),
    `${formatPercent(outside)} outside the plane`,
    typeof rates?.[index] === "number" ? `learning rate ${formatNumber(rates[index], 3)}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** Describe the center, for when there is no cursor. */
export function describeCenter(meta: Meta): string {
  const center = meta.center;
  if (!center) return "";
  const isKnown = (name: string): boolean =>
    typeof center[name] === "number" || (name === "lambda_min" && typeof center.residual_min === "number");
  const values = shownNames(Object.keys(center))
    .filter(isKnown)
    .map((name) => valueText(name, (layer) => (layer in center ? (center[layer] ?? NaN) : undefined)));
  if (!values.length) return "";
  return [`At the center: ${values.join(" · ")}`, meta.center_on_grid ? "" : "off the grid"]
    .filter(Boolean)
    .join(" · ");
}

/** Describe the picture in a sentence for screen readers. */
export function describePicture(field: Field, plot: string, path: Path | null = null, nFailed = 0): string {
  const range = Number.isFinite(field.min)
    ? `from ${formatValue(field.min, field.quantity)} to ${formatValue(field.max, field.quantity)}`
    : "no finite value yet";
  const side = (name: string, [lo, hi]: [number, number]): string =>
    `${name} from ${formatNumber(lo)} to ${formatNumber(hi)}`;
  const run =
    path && plot !== "line" && plot !== "point" ? `; training path of ${path.checkpoints.length} checkpoints` : "";
  const captured = run && path ? (capturedText(path) ?? "") : "";
  const holes = nFailed ? `; no value at ${nFailed} points` : "";
  const log = field.scale === "log" ? ", log scale" : "";
  return (
    `${quantityName(field.quantity)} ${plot}, ${field.nAlpha} by ${field.nBeta} points, ` +
    `${side("alpha", field.alpha)}, ${side("beta", field.beta)}; values ${range}${holes}${run}${captured && `. ${captured}`}${log}`
  );
}
