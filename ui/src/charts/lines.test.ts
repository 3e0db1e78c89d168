import { expect, it } from "vitest";
import type { Frame, GroupSeries, Series } from "@/api/series";
import { groupLines, middleRange, runLines } from "./lines";

const style = { hue: 0, dash: 0 };
const run = { id: "a", name: "run a", style };
const series = (change: Partial<Series>): Series => ({
  runId: "a",
  key: "loss",
  points: 3,
  total: 3,
  mean: [1, 2, 3],
  nonFinite: [],
  leftOut: 0,
  ...change,
});
const frame = (change: Partial<Frame>): Frame => ({
  exact: true,
  x: [0, 1, 2],
  dx: 0,
  series: [],
  groups: [],
  missing: [],
  approximated: false,
  ...change,
});

it("draws the smoothed line, and the values faintly behind it", () => {
  const [line] = runLines(frame({ series: [series({ smooth: [1, 1.5, 2] })] }), [run], true);
  expect([line?.y, line?.raw]).toEqual([
    [1, 1.5, 2],
    [1, 2, 3],
  ]);
});

it("leaves out runs with nothing to draw, and bands that are turned off", () => {
  const some = frame({ series: [series({ low: [0, 0, 0], high: [4, 4, 4] }), series({ runId: "b", mean: [] })] });
  const runs = [{ ...run, id: "b" }, run];
  expect(runLines(some, runs, true).map((line) => [line.id, line.low])).toEqual([["a", [0, 0, 0]]]);
  expect(runLines(some, runs, false)[0]?.low).toBeUndefined();
});

const group: GroupSeries = {
  ...series({ low: [0, 0, 0], high: [9, 9, 9], smooth: [1, 2, 2.5] }),
  name: "adam",
  runIds: ["a", "b"],
  std: [0.5, undefined, 1],
  ci95: [1, 1, 1],
  runs: new Uint32Array([2, 1, 2]),
};

it("puts the band of a group around the line that is drawn, or shows the range of its values", () => {
  const some = frame({ groups: [group] });
  const groups = [{ id: "adam", name: "optimizer adam", style, runIds: ["a", "b"] }];
  const low = (spread: "std" | "range" | "none") => groupLines(some, groups, spread)[0]?.low;
  expect([low("std"), low("range"), low("none")]).toEqual([[0.5, 2, 1.5], [0, 0, 0], undefined]);
});

it("narrows the axis to the middle of the values and counts what lies outside", () => {
  const y = Array.from({ length: 300 }, (_, index) => (index === 7 ? 1000 : index % 10));
  const found = middleRange([{ id: "a", name: "a", style, y, marks: [] }]);
  expect(found).toMatchObject({ above: 1, below: 0 });
  expect(found!.range[1]).toBeLessThan(12);
  expect(middleRange([{ id: "a", name: "a", style, y: [1, 1, 1, 1], marks: [] }])).toBeNull();
});
