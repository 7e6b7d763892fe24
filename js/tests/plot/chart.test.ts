import assert from "node:assert/strict";
import { test } from "node:test";
import { type Chart, chartY, drawChart, layOutLegend, type Series, stretchesOf } from "../../src/plot/chart.ts";

test("a stretch ends at a gap", () => {
  assert.deepEqual(stretchesOf([NaN, 1, 2, NaN, 3]), [
    [1, 2],
    [4, 4],
  ]);
});

test("a chart draws training solid and testing dashed, on two axes, with a band", () => {
  const calls: string[] = [];
  const ctx = new Proxy({} as Record<string, unknown>, {
    get: (target, name) =>
      name in target
        ? target[name as string]
        : (...args: unknown[]) => {
            calls.push(`${String(name)} ${args.join()}`);
            return { width: 10 };
          },
    set: (target, name, value) => Reflect.set(target, name, value),
  }) as unknown as CanvasRenderingContext2D;
  const theme = {
    dark: false,
    background: "#fff",
    text: "#000",
    muted: "#666",
    grid: "#ccc",
    pane: "#eee",
    accent: "#00f",
    font: "sans-serif",
  };
  const axis = { lo: 0, hi: 1, scale: "linear" as const, percent: false, name: "Loss" };
  const chart: Chart = {
    frame: { x: 0, y: 0, width: 100, height: 100 },
    x: [-1, 1],
    xName: "alpha",
    left: axis,
    right: { ...axis, name: "Accuracy", percent: true },
    series: [
      {
        name: "train",
        side: "left",
        y: [0, 0.5, 1],
        color: "#00f",
        style: "solid",
        band: { low: [0, 0.4, 0.9], high: [0.1, 0.6, 1] },
      },
      { name: "test", side: "left", y: [0, NaN, 1], color: "#00f", style: "dashed" },
      { name: "accuracy", side: "right", y: [1, 0.5, 0], color: "#f00", style: "solid" },
    ],
    legend: true,
  };
  drawChart(ctx, theme, chart);
  assert.ok(calls.includes("setLineDash 6,4") && calls.includes("closePath "));
  for (const text of ["train", "test", "alpha", "Loss", "Accuracy", "100 %"])
    assert.ok(
      calls.some((c) => c.startsWith(`fillText ${text}`)),
      text,
    );
  assert.ok(Math.abs(chartY(chart.frame, axis, 1) - 6) < 1e-9);
  assert.ok(calls.every((c) => !/NaN|undefined/.test(c)));
});

test("the legend takes the rows it needs", () => {
  const ctx = { measureText: (text: string) => ({ width: 7 * text.length }) } as unknown as CanvasRenderingContext2D;
  const theme = {
    dark: false,
    background: "",
    text: "",
    muted: "",
    grid: "",
    pane: "",
    accent: "",
    font: "sans-serif",
  };
  const series = ["Train loss", "Test loss", "Train accuracy"].map(
    (name): Series => ({ name, side: "left", y: [], color: "#000", style: "solid" }),
  );
  assert.equal(layOutLegend(ctx, theme, series, 800).count, 1);
  const { entries, count } = layOutLegend(ctx, theme, series, 240, "of 5 seeds");
  assert.equal(count, 2);
  assert.deepEqual(
    entries.map((e) => e.row),
    [0, 0, 1, 1],
  );
});
