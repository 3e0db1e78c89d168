import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/** lib, api <- components <- charts, table, filter <- features <- app. */
const RANK: Record<string, number> = {
  lib: 0,
  api: 1,
  components: 2,
  charts: 3,
  table: 3,
  filter: 3,
  features: 4,
  app: 5,
};
const root = fileURLToPath(new URL("..", import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => /\.tsx?$/.test(file));

function room(path: string): string {
  const [layer, noun] = path.split("/");
  return layer === "features" ? `${layer}/${noun}` : layer!;
}

it("every file lies in a known layer", () => {
  for (const file of files) expect(Object.keys(RANK), file).toContain(file.split("/")[0]);
});

it("no file imports from a layer above or beside its own, and no feature another feature", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, , name] of text.matchAll(/(from|import\()\s*"([^"]+)"/g)) {
      if (!name!.startsWith(".") && !name!.startsWith("@/")) continue;
      const target = name!.startsWith("@/") ? name!.slice(2) : relative(root, join(root, dirname(file), name!));
      const [from, to] = [file.split("/")[0]!, target.split("/")[0]!];
      if (room(file) !== room(target) && RANK[to]! >= RANK[from]!) wrong.push(`${file} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

it("no file is longer than 400 lines, and none sets HTML from text", () => {
  for (const file of files.filter((each) => each !== "api/schema.d.ts")) {
    const text = readFileSync(join(root, file), "utf8");
    expect(text.split("\n").length, file).toBeLessThanOrEqual(401);
    if (file !== "app/layers.test.ts") expect(text, file).not.toMatch(/dangerouslySetInnerHTML|innerHTML|\beval\(/);
  }
});
