// The inspected point: a click on the picture or Enter asks for it, the kernel answers.

import { formatNumber, formatValue } from "../model/format.ts";
import { h, setText, toggle } from "./dom.ts";

interface Answer {
  status: "computing" | "done";
  alpha: number;
  beta: number;
  error?: string;
  [name: string]: number | string | null | undefined;
}

const isAnswer = (json: unknown): json is Answer =>
  typeof json === "object" &&
  json !== null &&
  typeof (json as Answer).alpha === "number" &&
  typeof (json as Answer).beta === "number";

/** Return the two principal curvatures of the surface from its second derivatives. */
function principal(aa: number, ab: number, bb: number): [number, number] {
  const [mean, spread] = [(aa + bb) / 2, Math.hypot((aa - bb) / 2, ab)];
  return [mean - spread, mean + spread];
}

/** Return what is known about the point, as names and values. */
export function inspectionRows(answer: Answer): [string, string][] {
  const number = (name: string): number | null => (typeof answer[name] === "number" ? (answer[name] as number) : null);
  const rows: [string, string][] = [];
  for (const name of Object.keys(answer)) {
    const value = number(name);
    if (/(loss|accuracy)$/.test(name) && value !== null)
      rows.push([name.replaceAll("_", " "), formatValue(value, name)]);
  }
  const add = (label: string, value: number | null): void =>
    void (value !== null && rows.push([label, formatNumber(value, 3)]));
  add("gradient norm", number("gradient_norm"));
  const [low, residual] = [number("lambda_min"), number("residual_min")];
  if (low !== null) add("λmin", low);
  else if (residual !== null) rows.push(["λmin", `0 ± ${formatNumber(residual, 2)}`]);
  add("λmax", number("lambda_max"));
  add("|λmin/λmax|", number("convexity"));
  const [aa, ab, bb] = [number("f_aa"), number("f_ab"), number("f_bb")];
  if (aa !== null && ab !== null && bb !== null) {
    const [a, b] = principal(aa, ab, bb);
    rows.push(["curvature in the plane", `${formatNumber(a, 3)} and ${formatNumber(b, 3)}`]);
  }
  return rows;
}

export interface Inspection {
  element: HTMLElement;
  update(json: unknown): void;
}

export function makeInspection(): Inspection {
  const place = h("span", { class: "ll-inspect-place" });
  const list = h("dl", { class: "ll-inspect-values" });
  const element = h(
    "div",
    { class: "ll-inspect", role: "status", "aria-label": "The point that was clicked" },
    place,
    list,
  );
  let shown: unknown = null;
  toggle(element, false);
  return {
    element,
    update(json) {
      if (json === shown) return;
      shown = json;
      toggle(element, isAnswer(json));
      if (!isAnswer(json)) return;
      element.dataset.status = json.status;
      const where = `alpha ${formatNumber(json.alpha, 3)}, beta ${formatNumber(json.beta, 3)}`;
      setText(place, json.status === "computing" ? `Computing at ${where} …` : `At ${where}:`);
      const rows = json.status === "computing" ? [] : inspectionRows(json);
      if (typeof json.error === "string") rows.push(["not known", json.error]);
      list.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    },
  };
}
