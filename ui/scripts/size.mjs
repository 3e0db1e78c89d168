// Fails when the built dashboard is over its budgets. Sizes are gzipped kB (1 kB = 1,000 bytes).
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET = { initialJs: 260, chunk: 120, css: 25 };
// Loaded only by who opens a scatter plot or parallel coordinates: one chart engine, whole.
const LARGE = { EChart: 230 };
const root = fileURLToPath(new URL("../../src/runlore/server/static/", import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}.vite/manifest.json`, "utf8"));
const kilobytes = (file) => gzipSync(readFileSync(root + file), { level: 9 }).length / 1000;

/** The chunk and everything it imports statically: what a browser must have before it can run it. */
function closure(key, seen = new Set()) {
  if (seen.has(key)) return seen;
  seen.add(key);
  for (const next of manifest[key].imports ?? []) closure(next, seen);
  return seen;
}

const entries = Object.keys(manifest).filter((key) => manifest[key].isEntry);
const table = Object.keys(manifest).filter((key) => /features\/runs\/RunsPage\.tsx$/.test(key));
const initial = new Set([...entries, ...table].flatMap((key) => [...closure(key)]));
const initialJs = [...initial].reduce((sum, key) => sum + kilobytes(manifest[key].file), 0);
const css = new Set(Object.values(manifest).flatMap((chunk) => chunk.css ?? []));
const cssTotal = [...css].reduce((sum, file) => sum + kilobytes(file), 0);
const failures = [];

function check(name, size, budget) {
  console.log(`${size <= budget ? "ok  " : "OVER"} ${size.toFixed(1).padStart(7)} kB of ${budget}  ${name}`);
  if (size > budget) failures.push(name);
}

check("initial JavaScript, runs table", initialJs, BUDGET.initialJs);
for (const [key, chunk] of Object.entries(manifest)) {
  if (!initial.has(key) && chunk.file.endsWith(".js")) {
    check(`lazy ${chunk.file}`, kilobytes(chunk.file), LARGE[chunk.name] ?? BUDGET.chunk);
  }
}
check("CSS, all routes", cssTotal, BUDGET.css);
process.exit(failures.length ? 1 : 0);
