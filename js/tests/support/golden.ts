// The files that the tests of Python read as well.

import { readFileSync } from "node:fs";

/** The tests run in the folder of the viewer. */
export const readGolden = (name: string): any => JSON.parse(readFileSync(`../tests/golden/${name}`, "utf8"));

export function viewOf(base64: string): DataView {
  const bytes = Buffer.from(base64, "base64");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
