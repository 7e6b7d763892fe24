// Builds ../lljupyter/jupyter/static/widget.js, and page.js, which shows it in a page without a kernel.
//
// The first line of the bundle names the sources it was built from, the second what a content security policy calls its style:
//     /* lljupyter viewer, sources sha256:<hex> */
//     /* style sha256-<base64> */
// The hash is the SHA-256 over all files under js/src and js/package-lock.json, sorted by their path relative to js/ (POSIX
// slashes, compared as UTF-8 bytes); each file adds: path in UTF-8, a NUL byte, its content, a NUL byte. A test recomputes it,
// so that a bundle that was not rebuilt is found on machines without node as well.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, "../lljupyter/jupyter/static");

function sources(folder) {
  return readdirSync(join(here, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : [path];
  });
}

function sourcesHash() {
  const paths = [...sources("src"), "package-lock.json"].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const hash = createHash("sha256");
  for (const path of paths)
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(here, path)))
      .update("\0");
  return hash.digest("hex");
}

const minified = await build({
  entryPoints: [join(here, "src/style.css")],
  minify: true,
  write: false,
  target: "es2022",
});
const css = minified.outputFiles[0].text.trim();
const cssHash = createHash("sha256").update(css).digest("base64");
const common = {
  absWorkingDir: here,
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};
mkdirSync(folder, { recursive: true });
const result = await build({
  ...common,
  entryPoints: ["src/widget.ts"],
  outfile: join(folder, "widget.js"),
  bundle: true,
  format: "esm",
  loader: { ".css": "text" },
  define: { "define.amd": "false" },
  banner: { js: `/* lljupyter viewer, sources sha256:${sourcesHash()} */\n/* style sha256-${cssHash} */` },
  metafile: true,
  plugins: [
    {
      name: "minified-css",
      setup(builder) {
        builder.onLoad({ filter: /style\.css$/ }, () => ({ contents: css, loader: "text" }));
      },
    },
  ],
});
await build({ ...common, entryPoints: ["src/page.ts"], outfile: join(folder, "page.js"), format: "iife" });
const [output] = Object.values(result.metafile.outputs);
console.log(`widget.js ${(output.bytes / 1000).toFixed(1)} kB`);
