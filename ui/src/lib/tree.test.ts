import { expect, it } from "vitest";
import { arrange, Layout } from "./tree";

const NONE = new Set<string>();

/** `b<a` is the run b with the parent a. */
function shown(runs: string[], folded: ReadonlySet<string> = NONE): string[] {
  const pairs = runs.map((run) => run.split("<"));
  const ids = pairs.map(([id]) => id!);
  const { places, depths } = arrange(
    ids,
    pairs.map(([, parent]) => parent ?? null),
    folded,
  );
  return places.map((place, row) => "  ".repeat(depths[row]!) + ids[place]);
}

it("puts children under their parent, in the order they came", () => {
  expect(shown(["z", "c<a", "b<a", "y", "a", "x"])).toEqual(["z", "y", "a", "  c", "  b", "x"]);
});

it("nests as deep as the runs do", () => {
  expect(shown(["c<b", "b<a", "a"])).toEqual(["a", "  b", "    c"]);
});

it("leaves children of folded parents out, and theirs", () => {
  expect(shown(["c<b", "b<a", "a", "x"], new Set(["a"]))).toEqual(["a", "x"]);
});

it("keeps runs whose parent is elsewhere where they are", () => {
  expect(shown(["b<elsewhere", "a"])).toEqual(["b", "a"]);
});

it("loses no run when parents name each other, or themselves", () => {
  expect(
    shown(["a<b", "b<a", "c<c"])
      .map((each) => each.trim())
      .sort(),
  ).toEqual(["a", "b", "c"]);
});

it("finds rows where some windows show fewer rows than they hold", () => {
  const layout = new Layout(450, 200, (window) => (window === 0 ? 150 : undefined));
  expect(layout.rows).toBe(400);
  expect(layout.find(0)).toEqual([0, 0]);
  expect(layout.find(149)).toEqual([0, 149]);
  expect(layout.find(150)).toEqual([1, 0]);
  expect(layout.find(399)).toEqual([2, 49]);
  expect(new Layout(0, 200, () => undefined).find(0)).toEqual([0, 0]);
});
