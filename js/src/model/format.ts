// Numbers and durations as text.

import { format, precisionFixed } from "d3-format";
import { HESSIAN_LAYERS, SYMBOLS } from "./convexity.ts";
import { parseLayerName } from "./layerNames.ts";

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

const superscript = (exponent: number): string =>
  (exponent < 0 ? "⁻" : "") + [...String(Math.abs(exponent))].map((d) => SUPERSCRIPT[Number(d)]).join("");

/** Format a number with `digits` significant digits and no trailing zeros; as a power of ten outside 1e-4 .. 1e6. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e6)) {
    const [mantissa = "", exponent = ""] = format(`.${digits - 1}~e`)(value).split("e");
    const power = `10${superscript(Number(exponent.replace("−", "-")))}`;
    return mantissa === "1" ? power : `${mantissa}×${power}`;
  }
  return magnitude >= 10 ** digits ? format(".0f")(value) : format(`.${digits}~r`)(value);
}

/** Format a whole number with separated thousands: "50,000". */
export const formatCount: (n: number) => string = format(",");

/** Label evenly spaced ticks, with as many decimals as their step needs. */
export function tickLabels(values: number[], percent = false): string[] {
  const scale = percent ? 100 : 1;
  const [first = 0, second = first] = values;
  const step = Math.abs(second - first) * scale;
  const largest = Math.max(...values.map((v) => Math.abs(v) * scale), 0);
  const plain = step >= 1e-4 && largest < 1e5;
  const decimals = plain ? format(`.${precisionFixed(step)}f`) : null;
  const suffix = percent ? " %" : "";
  return values.map((v) => (decimals ? decimals(v * scale || 0) : formatNumber(v * scale, 3)) + suffix);
}

export const formatPercent = (value: number): string =>
  Number.isFinite(value) ? `${format(".1f")(value * 100)} %` : formatNumber(value);

/** True for layers that hold a share (0..1), shown in percent. */
export const isPercent = (quantity: string): boolean => parseLayerName(quantity).base === "accuracy";

export const formatValue = (value: number, quantity: string): string =>
  isPercent(quantity) ? formatPercent(value) : formatNumber(value);

/** Name a layer on screen: "train_loss_stderr" is "Train loss, standard error"; unknown layers keep their key. */
export function quantityName(quantity: string): string {
  const { loader, base, isError } = parseLayerName(quantity);
  if (base !== "loss" && base !== "accuracy") return HESSIAN_LAYERS[quantity] ?? quantity.replaceAll("_", " ");
  const name = `${loader} ${base}`.trim().replaceAll("_", " ");
  return name.charAt(0).toUpperCase() + name.slice(1) + (isError ? ", standard error" : "");
}

/** The name in a list of choices, without a formula. */
export const choiceName = (quantity: string): string => quantityName(quantity).replace(/ \|.*/, "");

/** The name above a small chart. */
export const shortName = (quantity: string): string =>
  SYMBOLS[quantity] ?? quantityName(quantity).replace(", standard", "");

/** Format seconds as "12 s", "3 min" or "2 h 5 min". */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 9.95) return `${format(".1~f")(seconds)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/** Format the remaining time, rounded so that it does not flicker: "about 12 s left". */
export function formatRemaining(seconds: number | null, atMost = false): string {
  if (seconds === null || !Number.isFinite(seconds)) return "";
  if (seconds < 1) return "almost there";
  const rounded = seconds < 20 ? Math.ceil(seconds) : seconds < 90 ? Math.ceil(seconds / 5) * 5 : seconds;
  return `${atMost ? "at most" : "about"} ${formatDuration(rounded)} left`;
}
