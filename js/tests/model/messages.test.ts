import assert from "node:assert/strict";
import { test } from "node:test";
import type { Field } from "../../src/model/field.ts";
import { messagesHeight, messageTexts, placeholderText } from "../../src/model/messages.ts";
import { fieldOf, makeMeta } from "../support/make.ts";

test("messages name what the picture leaves out", () => {
  const field = fieldOf(21, 21, (r, c) => (r === 0 ? 1e9 : r + c));
  const [message = ""] = messageTexts({ meta: makeMeta(21, 21), field, stale: false, silent: false });
  assert.match(message, /^Cut at .* values are higher, up to 10⁹$/);
  assert.deepEqual(
    [300, 800].map((width) => messagesHeight(field, width, null)),
    [52, 30],
  );
  assert.equal(
    messagesHeight(
      fieldOf(3, 3, () => 1),
      300,
      null,
    ),
    0,
  );
  const gray: Field = { ...fieldOf(3, 3, () => 1), color: fieldOf(3, 3, () => NaN, { quantity: "convexity" }) };
  const said = (status: "running" | "stopped" | "done", f = gray) =>
    messageTexts({ meta: makeMeta(3, 3, { status }), field: f, stale: false, silent: false });
  assert.deepEqual(said("running"), ["Convexity is computed after the surface"]);
  assert.deepEqual(said("stopped"), ["Convexity was not computed"]);
  assert.deepEqual(said("done"), ["No convexity to show: nowhere is λmin finite and told apart from 0"]);
  assert.deepEqual(said("done", { ...gray, color: fieldOf(3, 3, () => NaN, { quantity: "accuracy" }) }), [
    "Accuracy has no finite value to color with",
  ]);
  assert.deepEqual(
    [
      messagesHeight(gray, 300, null),
      said(
        "done",
        fieldOf(3, 3, () => 1),
      ),
    ],
    [52, []],
  );
  assert.equal(placeholderText(null, null), "Evaluating the first points…");
  assert.equal(placeholderText(makeMeta(21, 21), field), null);
  const holes = fieldOf(3, 3, () => NaN);
  assert.equal(placeholderText(makeMeta(3, 3, { status: "running" }), holes), "No finite value so far");
  assert.equal(placeholderText(makeMeta(3, 3, { status: "done" }), holes), "No finite value");
  assert.match(
    placeholderText(
      null,
      fieldOf(3, 3, () => -1, { scale: "log" }),
    ) ?? "",
    /log scale/,
  );
});
