// A 2D drawing context that writes SVG. It has only what the flat pictures call.

interface State {
  matrix: DOMMatrix;
  fillStyle: string | CanvasGradient;
  strokeStyle: string | CanvasGradient;
  lineWidth: number;
  lineJoin: string;
  globalAlpha: number;
  font: string;
  textAlign: string;
  textBaseline: string;
  dash: number[];
  clip: string;
}

const escapeXML = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] as string);
const n = (v: number): string => String(Math.round(v * 100) / 100);

/** A gradient stores its color stops and is written when it is used. */
class Gradient {
  stops = "";
  constructor(readonly line: number[]) {}
  addColorStop(offset: number, color: string): void {
    this.stops += `<stop offset="${n(offset)}" stop-color="${escapeXML(color)}"/>`;
  }
}

const ANCHORS: Record<string, string> = { left: "start", center: "middle", right: "end" };

export function svgContext(width: number, height: number): { ctx: CanvasRenderingContext2D; text(): string } {
  const ruler = document.createElement("canvas").getContext("2d") as CanvasRenderingContext2D;
  const body: string[] = [];
  const definitions: string[] = [];
  const stack: State[] = [];
  let path = "";
  let id = 0;
  const state: State = {
    matrix: new DOMMatrix(),
    fillStyle: "#000",
    strokeStyle: "#000",
    lineWidth: 1,
    lineJoin: "miter",
    globalAlpha: 1,
    font: "11px sans-serif",
    textAlign: "left",
    textBaseline: "alphabetic",
    dash: [],
    clip: "",
  };

  const paint = (style: string | CanvasGradient): string => {
    if (typeof style === "string") return escapeXML(style);
    const gradient = style as unknown as Gradient;
    const [x1, y1, x2, y2] = gradient.line;
    const name = `g${id++}`;
    definitions.push(
      `<linearGradient id="${name}" gradientUnits="userSpaceOnUse" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}">${gradient.stops}</linearGradient>`,
    );
    return `url(#${name})`;
  };
  const add = (tag: string, attributes: string, content = ""): void => {
    const { a, b, c, d, e, f } = state.matrix;
    const transform = state.matrix.isIdentity
      ? ""
      : ` transform="matrix(${[a, b, c, d, e, f].map((v) => Math.round(v * 1e4) / 1e4).join(" ")})"`;
    const opacity = state.globalAlpha < 1 ? ` opacity="${n(state.globalAlpha)}"` : "";
    const element = `<${tag} ${attributes}${transform}${opacity}${content ? `>${content}</${tag}>` : "/>"}`;
    // A clip path is in the coordinates of the picture, so it is set on a group around the element.
    body.push(state.clip ? `<g clip-path="url(#${state.clip})">${element}</g>` : element);
  };
  const stroke = (): string =>
    `stroke="${paint(state.strokeStyle)}" stroke-width="${state.lineWidth}" stroke-linejoin="${state.lineJoin}"` +
    (state.dash.length ? ` stroke-dasharray="${state.dash.join(" ")}"` : "");
  const rectangle = (x: number, y: number, w: number, h: number): string =>
    `x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}"`;
  const write = (text: string, x: number, y: number, paints: string): void => {
    const [, weight = "400", size = "11px", family = "sans-serif"] = /^(\d+)? ?([\d.]+px) (.*)$/.exec(state.font) ?? [];
    const shift = state.textBaseline === "middle" ? 0.35 * Number.parseFloat(size) : 0;
    const font = `font-family="${escapeXML(family)}" font-size="${size}" font-weight="${weight}" text-anchor="${ANCHORS[state.textAlign] ?? "start"}"`;
    add("text", `x="${n(x)}" y="${n(y + shift)}" ${font} ${paints}`, escapeXML(text));
  };

  const calls = {
    save: () => void stack.push({ ...state, matrix: DOMMatrix.fromMatrix(state.matrix) }),
    restore: () => void Object.assign(state, stack.pop()),
    translate: (x: number, y: number) => {
      state.matrix = state.matrix.translate(x, y);
    },
    rotate: (angle: number) => {
      state.matrix = state.matrix.rotate((angle * 180) / Math.PI);
    },
    beginPath: () => {
      path = "";
    },
    moveTo: (x: number, y: number) => {
      path += `M${n(x)} ${n(y)}`;
    },
    lineTo: (x: number, y: number) => {
      path += `L${n(x)} ${n(y)}`;
    },
    closePath: () => {
      path += "Z";
    },
    rect: (x: number, y: number, w: number, h: number) => {
      path += `M${n(x)} ${n(y)}h${n(w)}v${n(h)}h${n(-w)}Z`;
    },
    roundRect: (x: number, y: number, w: number, h: number) => calls.rect(x, y, w, h),
    // The pictures draw whole circles only.
    arc: (x: number, y: number, r: number) => {
      path += `M${n(x - r)} ${n(y)}a${n(r)} ${n(r)} 0 1 0 ${n(2 * r)} 0a${n(r)} ${n(r)} 0 1 0 ${n(-2 * r)} 0`;
    },
    fill: () => add("path", `d="${path}" fill="${paint(state.fillStyle)}"`),
    stroke: () => add("path", `d="${path}" fill="none" ${stroke()}`),
    clip() {
      const name = `c${id++}`;
      const inside = state.clip ? ` clip-path="url(#${state.clip})"` : "";
      definitions.push(`<clipPath id="${name}"${inside}><path d="${path}"/></clipPath>`);
      state.clip = name;
    },
    fillRect: (x: number, y: number, w: number, h: number) =>
      add("rect", `${rectangle(x, y, w, h)} fill="${paint(state.fillStyle)}"`),
    strokeRect: (x: number, y: number, w: number, h: number) =>
      add("rect", `${rectangle(x, y, w, h)} fill="none" ${stroke()}`),
    fillText: (text: string, x: number, y: number) => write(text, x, y, `fill="${paint(state.fillStyle)}"`),
    strokeText: (text: string, x: number, y: number) => write(text, x, y, `fill="none" ${stroke()}`),
    measureText(text: string) {
      ruler.font = state.font;
      return ruler.measureText(text);
    },
    setLineDash: (dash: number[]) => {
      state.dash = dash;
    },
    createLinearGradient: (...line: number[]) => new Gradient(line),
    drawImage: (image: HTMLCanvasElement, x: number, y: number, w: number, h: number) =>
      add("image", `${rectangle(x, y, w, h)} preserveAspectRatio="none" href="${image.toDataURL("image/png")}"`),
  };
  const ctx = new Proxy(calls, {
    get: (target, name) => (name in target ? target[name as keyof typeof target] : state[name as keyof State]),
    set: (_, name, value) => Reflect.set(state, name, value),
  }) as unknown as CanvasRenderingContext2D;
  return {
    ctx,
    text: () =>
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">` +
      `<defs>${definitions.join("")}</defs>${body.join("\n")}</svg>\n`,
  };
}
