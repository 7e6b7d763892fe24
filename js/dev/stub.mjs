// A stub of the widget's model: synthetic frames, coarse to fine, and the controls answered as the kernel would.

import widget from "../../lljupyter/jupyter/static/widget.js";

const query = new URLSearchParams(location.search);
const option = (name, fallback) => query.get(name) ?? fallback;
const which = option("case", "plain");
const LAYERS = ["loss", "loss_stderr", "accuracy", "accuracy_stderr", "evaluated"];

const DARK = {
  "--jp-layout-color0": "#111111",
  "--jp-layout-color1": "#212121",
  "--jp-content-font-color1": "rgba(255,255,255,1)",
  "--jp-content-font-color2": "rgba(255,255,255,0.7)",
  "--jp-border-color2": "#616161",
  "--jp-brand-color1": "#2196f3",
};
const LIGHT = {
  "--jp-layout-color0": "white",
  "--jp-layout-color1": "white",
  "--jp-content-font-color1": "rgba(0,0,0,0.87)",
  "--jp-content-font-color2": "rgba(0,0,0,0.54)",
  "--jp-border-color2": "#e0e0e0",
  "--jp-brand-color1": "#1976d2",
};

function setTheme(name) {
  for (const [key, value] of Object.entries(name === "dark" ? DARK : LIGHT))
    document.body.style.setProperty(key, value);
  document.body.style.background = name === "dark" ? "#111111" : "white";
  document.body.dataset.jpThemeLight = String(name !== "dark");
}
if (option("theme", "light") !== "none") setTheme(option("theme", "light"));
window.setTheme = setTheme;

function lossAt(a, b, seed) {
  const r2 = a * a + 0.7 * b * b + 0.5 * a * b * Math.sin(seed);
  const bumps =
    0.35 * (1 - Math.cos(5.1 * a + seed)) * (1 - Math.cos(4.3 * b - 0.5 * seed)) +
    0.2 * Math.sin(3 * a * b + seed) ** 2;
  const grown = which === "huge" ? Math.exp(9 * Math.sqrt(r2)) : 0;
  return which === "flat" ? 0.7 : 0.02 + 2.3 * r2 + bumps * Math.min(1, 3 * r2) + grown;
}

const [nAlpha, nBeta] = option("grid", "51x51").split("x").map(Number);
const traits = {
  alpha: nAlpha > 1 ? [-1, 1] : [0, 0],
  beta: nBeta > 1 ? [-1, 1] : [0, 0],
  seed: 1,
  resolution: [nAlpha, nBeta],
  view: option("view", "surface"),
  scale: option("scale", "linear"),
  quantity: option("quantity", "loss"),
  // Any trait as JSON: ?traits={"show_points":true,"color":"accuracy"}
  ...JSON.parse(option("traits", "{}")),
  frame: new DataView(new ArrayBuffer(0)),
  meta: {},
};

/** A frame in which every `step`-th point is evaluated and the others are interpolated (here: taken from the nearest). */
function makeFrame(step) {
  const size = nAlpha * nBeta;
  const data = new Float32Array(LAYERS.length * size);
  const coordinate = (i, n, [lo, hi]) => (n > 1 ? lo + ((hi - lo) * i) / (n - 1) : lo);
  let done = 0;
  for (let row = 0; row < nBeta; row++) {
    for (let column = 0; column < nAlpha; column++) {
      const i = row * nAlpha + column;
      const evaluated = row % step === 0 && column % step === 0;
      const blur = evaluated ? 0 : 0.03 * step;
      const loss = lossAt(coordinate(column, nAlpha, traits.alpha), coordinate(row, nBeta, traits.beta), traits.seed);
      const isHole = which === "hole" && Math.hypot(column / nAlpha - 0.78, row / nBeta - 0.3) < 0.05;
      data[i] = isHole ? NaN : loss + blur * Math.sin(7 * column + 3 * row);
      data[size + i] = 0.02 * loss;
      data[2 * size + i] = 0.1 + 0.89 * Math.exp(-loss);
      data[3 * size + i] = 0.004;
      data[4 * size + i] = evaluated ? 1 : 0;
      done += evaluated ? 1 : 0;
    }
  }
  return { frame: new DataView(data.buffer), done };
}

/** A made-up training run that spirals into the center, with a learning rate that drops twice. */
function makeRun(n) {
  const at = (i) => 0.95 * (1 - i / (n - 1)) ** 1.5;
  const alpha = Array.from({ length: n }, (_, i) => -at(i) * Math.cos((3 * i) / n));
  const beta = Array.from({ length: n }, (_, i) => at(i) * Math.sin((3 * i) / n));
  const outside = alpha.map((_, i) => (i === n - 1 ? 0 : 0.15 + 0.7 * (1 - at(i))));
  const off = outside.map((share, i) => 0.8 * share * Math.cos(1.3 * i) * at(i));
  const loss = alpha.map((a, i) =>
    i < n - 3 || which !== "halfpath" ? lossAt(a, beta[i], traits.seed) + off[i] + (i === 0 ? 0.7 : 0) : null,
  );
  return {
    alpha,
    beta,
    outside,
    values: { loss, accuracy: loss.map((v) => v && 0.1 + 0.89 * Math.exp(-v)) },
    learning_rate: alpha.map((_, i) => 0.1 * 0.1 ** Math.floor((3 * i) / n)),
    captured: 0.834,
    labels: alpha.map((_, i) => (i % 2 ? `step ${i * 50}` : `epoch ${i / 2}`)),
  };
}
const extras = () => ({
  ...(which.endsWith("path") ? { trajectory: makeRun(Number(option("checkpoints", "21"))) } : {}),
  ...(which === "models" ? { marks: { a: [0, 0], b: [0.75, 0], c: [0.35, 0.6] } } : {}),
});

const listeners = new Map();
const emit = (event) => {
  for (const callback of [...(listeners.get(event) ?? [])]) callback();
};
window.sent = [];
const model = {
  get: (name) => traits[name],
  set(name, value) {
    traits[name] = value;
    emit(`change:${name}`);
  },
  save_changes() {
    window.saved = structuredClone({ ...traits, frame: null });
  },
  on: (event, callback) => (listeners.get(event) ?? listeners.set(event, new Set()).get(event)).add(callback),
  off: (event, callback) => listeners.get(event)?.delete(callback),
  send(message) {
    window.sent.push(message);
  },
};
window.model = model;

let sequence = 0;
function publish(step, status, extra = {}) {
  const { frame, done } = makeFrame(step);
  Object.assign(traits, {
    frame,
    meta: {
      version: 1,
      sequence: sequence++,
      status,
      shape: [nBeta, nAlpha],
      alpha: traits.alpha,
      beta: traits.beta,
      seed: traits.seed,
      layers: LAYERS,
      n_done: done,
      n_points: nAlpha * nBeta,
      elapsed_s: 3.2,
      remaining_s: status === "running" ? step * 1.7 : null,
      center: { loss: 0.0213, accuracy: 0.9913 },
      center_on_grid: true,
      title: "ResNet",
      subtitle: "272 474 parameters · filter-normalized random directions · CrossEntropyLoss",
      error: null,
      ...extras(),
      ...extra,
    },
  });
  emit("change:frame");
  emit("change:meta");
}
window.publish = publish;

const here = document.getElementById("here");
here.style.width = option("width", "") ? `${option("width")}px` : "";
if (which === "error") {
  publish(2, "error", {
    error: "RuntimeError at alpha = 0.52, beta = -0.24: mat1 and mat2 shapes cannot be multiplied (64x512 and 256x10)",
  });
} else if (which === "paused") publish(2, "paused");
else if (which !== "empty" && option("stream", "0") === "0")
  publish(which === "silent" ? 2 : Number(option("step", "1")), which === "silent" ? "running" : "done");
window.cleanup = widget.render({ model, el: here });

if (option("stream", "0") !== "0") {
  let frames = Number(option("stream", "1"));
  const interval = Number(option("interval", "100"));
  const timer = setInterval(() => {
    frames -= 1;
    publish(frames > 20 ? 4 : frames > 0 ? 2 : 1, frames > 0 ? "running" : "done");
    if (frames <= 0) clearInterval(timer);
  }, interval);
}
