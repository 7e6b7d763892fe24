// The files that the tests of Python read as well.

import { readFileSync } from "node:fs";

/** Read a golden file. The tests run in the folder js/; what a file holds is what its test is about. */
// biome-ignore lint/suspicious/noExplicitAny: every golden file has its own shape
export const readGolden = (name: string): any => JSON.parse(readFileSync(`../tests/golden/${name}`, "utf8"));

export function viewOf(base64: string): DataView {
  const bytes = Buffer.from(base64, "base64");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
