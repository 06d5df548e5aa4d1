// Bundles src/ into src/tbbridge/server/web/, which is what the bridge serves: `npm ci && npm run build`.
// The bundle begins with a digest of everything that it was made from, so that a test without node can tell
// whether somebody changed a source and forgot to build.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, copyFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import path from "node:path";
import * as esbuild from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.join(here, "..", "src", "tbbridge", "server", "web");

/** The digest of the sources and of the lock file, in the order of their names. */
function digest() {
  const hash = createHash("sha256");
  const names = readdirSync(path.join(here, "src")).sort().map((name) => path.join("src", name));
  for (const name of [...names, "package-lock.json"]) hash.update(readFileSync(path.join(here, name)));
  return hash.digest("hex");
}

const banner = `/* tbbridge's live page, built from web/ ${digest()}; has uPlot (MIT), (c) Leon Sorokin */`;
await esbuild.build({
  entryPoints: { app: path.join(here, "src", "main.js") },
  outdir: target,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  charset: "utf8",
  legalComments: "none",
  banner: { js: banner },
});
await esbuild.build({
  entryPoints: { app: path.join(here, "src", "app.css") },
  outdir: target,
  bundle: true,
  minify: true,
  target: ["chrome111", "firefox113", "safari16.4"],
  banner: { css: banner },
});
for (const name of ["index.html", "icon.svg"]) copyFileSync(path.join(here, "src", name), path.join(target, name));

let whole = 0;
for (const name of ["index.html", "app.js", "app.css", "icon.svg"]) {
  const packed = gzipSync(readFileSync(path.join(target, name)), { level: 9 }).length;
  whole += packed;
  console.log(`${name.padEnd(12)} ${String(statSync(path.join(target, name)).size).padStart(8)} bytes, ${packed} packed`);
}
console.log(`all packed: ${whole} bytes`);
