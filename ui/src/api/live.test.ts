import { expect, it } from "vitest";
import { filled } from "./feed";
import { isTouched } from "./live";

const run = (change: object) =>
  filled({
    cursor: "c",
    runs: [{ run_id: "a", experiment_id: "1", changed: ["metrics"], metrics: ["loss"], ...change }],
  });
const series = (change: object) => ["series", { run_ids: ["a", "b"], metrics: ["loss"], ...change }];

it("asks again only for charts that a new point is on", () => {
  expect(isTouched(series({}), run({}))).toBe(true);
  expect(isTouched(series({}), run({ run_id: "x" }))).toBe(false);
  expect(isTouched(series({ metrics: ["acc"] }), run({}))).toBe(false);
  expect(isTouched(series({ metrics: ["acc"], x_metric: "loss" }), run({}))).toBe(true);
  expect(isTouched(series({ metrics: ["acc"] }), run({ metrics: null }))).toBe(true);
  expect(isTouched(series({}), run({ changed: ["tags"] }))).toBe(false);
});

it("counts a table's values again for new runs and params, not for every point", () => {
  const spreads = ["histograms", { experiment_ids: ["1"] }];
  expect(isTouched(spreads, run({}))).toBe(false);
  expect(isTouched(spreads, run({ changed: ["metrics", "status"] }))).toBe(true);
  expect(isTouched(spreads, run({ changed: ["params"] }))).toBe(true);
  expect(isTouched(spreads, run({ changed: ["params"], experiment_id: "2" }))).toBe(false);
  expect(isTouched(["lives", ["b", "a"]], run({}))).toBe(true);
  expect(isTouched(["lives", ["b"]], run({}))).toBe(false);
});

it("leaves a chart alone that shows a part of x", () => {
  expect(isTouched(series({ x_range: [1, 2] }), run({}))).toBe(false);
});

it("asks again for tables of the run's experiment, and of all", () => {
  expect(isTouched(["runs", { experiment_ids: ["1"] }, 0], run({}))).toBe(true);
  expect(isTouched(["runs", { experiment_ids: ["2"] }, 0], run({}))).toBe(false);
  expect(isTouched(["runs", { experiment_ids: ["2"] }, 0], run({ changed: ["lifecycle"] }))).toBe(true);
  expect(isTouched(["runs", {}, 0], run({}))).toBe(true);
  expect(isTouched(["run", "a"], run({}))).toBe(true);
  expect(isTouched(["run", "b"], run({}))).toBe(false);
});

it("asks for everything anew after a break, and for nothing when nothing is known of it", () => {
  expect(isTouched(series({ x_range: [1, 2] }), filled({ cursor: "c", reset: true }))).toBe(true);
  expect(isTouched(["file", {}], run({}))).toBe(false);
});
