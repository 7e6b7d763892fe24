import assert from "node:assert/strict";
import { test } from "node:test";
import { commonRanges, joinGroup, type Member } from "../src/group.ts";
import type { Controls } from "../src/model/controls.ts";
import type { Range } from "../src/model/wire.ts";

test("compared landscapes agree on the widest range and pass on what is changed", () => {
  const log: string[] = [];
  const ranges: Record<"a" | "b", Range> = { a: [0, 1], b: [-1, 0.5] };
  const member = (name: "a" | "b"): Member => ({
    ranges: () => new Map([["loss linear", ranges[name]]]),
    refresh: () => log.push(`refresh ${name}`),
    setCamera: (camera) => log.push(`camera ${name} ${JSON.stringify(camera)}`),
    apply: (controls: Partial<Controls>) => log.push(`apply ${name} ${JSON.stringify(controls)}`),
  });
  const [a, b] = [joinGroup("t", member("a")), joinGroup("t", member("b"))];
  assert.deepEqual(a.common("loss linear"), [-1, 1]);
  assert.equal(a.common("accuracy linear"), null);
  a.announce();
  a.announce();
  a.shareCamera({});
  b.share({ scale: "log" });
  assert.deepEqual(log, ["refresh b", "camera b {}", 'apply a {"scale":"log"}']);
  b.leave();
  assert.deepEqual(a.common("loss linear"), [0, 1]);
  assert.deepEqual([...commonRanges([])], []);
});
