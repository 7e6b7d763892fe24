// Imports go one way: model < gl < plot < panel < stage < view < widget, and there is no circle.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

const ORDER = ["model", "gl", "plot", "panel", "stage", "", "widget", "page"];
const MOST_FILES = 14;

const sources = readdirSync("src", { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"));

/** Return the files that a file imports, by their paths below src. */
function importsOf(name: string): string[] {
  const text = readFileSync(join("src", name), "utf8");
  const paths = [...text.matchAll(/(?:from|import) "(\.[^"]*\.ts)"/g)].map((match) => String(match[1]));
  return paths.map((path) => join(dirname(name), path));
}

/** The rank of a folder; view and what belongs to it lie between the stage and the entry points. */
function rankOf(name: string): number {
  const folder = dirname(name) === "." ? "" : dirname(name);
  return ORDER.indexOf(name === "widget.ts" || name === "page.ts" ? name.slice(0, -3) : folder);
}

test("imports go one way", () => {
  assert.ok(sources.length > 40);
  for (const name of sources) {
    assert.ok(rankOf(name) >= 0, `${name} is in no known folder`);
    for (const imported of importsOf(name)) {
      assert.ok(sources.includes(imported), `${name} imports ${imported}, which does not exist`);
      assert.ok(rankOf(imported) <= rankOf(name), `${name} must not import ${imported}`);
    }
  }
});

test("there is no circle of imports, not even of types", () => {
  const done = new Set<string>();
  const visit = (name: string, above: string[]): void => {
    assert.ok(!above.includes(name), `circle: ${[...above, name].join(" -> ")}`);
    if (done.has(name)) return;
    for (const imported of importsOf(name)) visit(imported, [...above, name]);
    done.add(name);
  };
  for (const name of sources) visit(name, []);
});

test("folders stay small", () => {
  for (const folder of ["src", ...ORDER.slice(0, 5).map((name) => join("src", name))]) {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    assert.ok(files.length <= MOST_FILES, `${folder} has ${files.length} files`);
  }
});
