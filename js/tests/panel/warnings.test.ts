import assert from "node:assert/strict";
import { test } from "node:test";
import { warningSummary } from "../../src/model/messages.ts";
import { opens } from "../../src/panel/warnings.ts";
import { difference, readGolden } from "../support/golden.ts";

test("several warnings are summed up as in figures", () => {
  for (const { lines, first, more } of readGolden("warnings"))
    assert.equal(difference(warningSummary(lines), { first, more }), null);
});

test("only what does not fit opens", () => {
  assert.equal(opens([]), false);
  assert.equal(opens(["short"]), false);
  assert.equal(opens(["short", "short"]), true);
  assert.equal(opens(["long ".repeat(40)]), true);
});
