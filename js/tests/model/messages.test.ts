import assert from "node:assert/strict";
import { test } from "node:test";
import type { Field } from "../../src/model/field.ts";
import { emptyText, notesRoom, noteTexts } from "../../src/model/messages.ts";
import { fieldOf, makeMeta } from "../support/make.ts";

test("notes say what the picture leaves out", () => {
  const field = fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : r + c));
  const [note] = noteTexts({ meta: makeMeta(21, 21), field, stale: false, silent: false });
  assert.match(note, /^Cut at .* values are higher, up to 10⁹$/);
  assert.deepEqual(
    [300, 800].map((width) => notesRoom(field, width, null)),
    [52, 30],
  );
  assert.equal(
    notesRoom(
      fieldOf(3, 3, () => 1),
      300,
      null,
    ),
    0,
  );
  const gray: Field = { ...fieldOf(3, 3, () => 1), color: fieldOf(3, 3, () => NaN, { quantity: "convexity" }) };
  const said = (status: "running" | "stopped" | "done", f = gray) =>
    noteTexts({ meta: makeMeta(3, 3, { status }), field: f, stale: false, silent: false });
  assert.deepEqual(said("running"), ["Convexity is computed after the surface"]);
  assert.deepEqual(said("stopped"), ["Convexity was not computed"]);
  assert.deepEqual(said("done"), ["No convexity to show: nowhere is λmin finite and told apart from 0"]);
  assert.deepEqual(said("done", { ...gray, color: fieldOf(3, 3, () => NaN, { quantity: "accuracy" }) }), [
    "Accuracy has no finite value to color with",
  ]);
  assert.deepEqual(
    [
      notesRoom(gray, 300, null),
      said(
        "done",
        fieldOf(3, 3, () => 1),
      ),
    ],
    [52, []],
  );
  assert.equal(emptyText(null, null), "Evaluating the first points…");
  assert.equal(emptyText(makeMeta(21, 21), field), null);
  const holes = fieldOf(3, 3, () => NaN);
  assert.equal(emptyText(makeMeta(3, 3, { status: "running" }), holes), "No finite value so far");
  assert.equal(emptyText(makeMeta(3, 3, { status: "done" }), holes), "No finite value");
  assert.match(
    emptyText(
      null,
      fieldOf(3, 3, () => -1, { scale: "log" }),
    ) ?? "",
    /log scale/,
  );
});
