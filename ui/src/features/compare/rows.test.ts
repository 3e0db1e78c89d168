import { expect, it } from "vitest";
import { isHeading, matrixRows, nextDifference, sayDifferences } from "./rows";

const comparison = {
  run_ids: ["a", "b"],
  params: {
    keys: ["lr", "seed"],
    values: [
      ["0.1", "0.2"],
      ["1", "1"],
    ],
    differs: [true, false],
    equal: 1,
    differing: 1,
  },
  metrics: {
    keys: ["loss"],
    last: [[0.5, null]],
    last_step: [[9, null]],
    minimum: [[0.4, null]],
    minimum_step: [[7, null]],
    differs: [true],
    differing: 1,
  },
  tags: { equal: 2 },
};
const options = { value: "last" as const, search: "", folded: [] };
const names = (change: Partial<Parameters<typeof matrixRows>[1]>) =>
  matrixRows(comparison, { ...options, ...change }).map((row) =>
    isHeading(row) ? row.section.toUpperCase() : row.key,
  );

it("puts keys under a heading for each section that is not empty", () => {
  expect(names({})).toEqual(["PARAMS", "lr", "seed", "METRICS", "loss", "TAGS"]);
  expect(matrixRows(comparison, options)[0]).toMatchObject({ differing: 1, total: 2, shown: 2, folded: false });
});

it("folds sections, and opens them for a search of names and values", () => {
  expect(names({ folded: ["params"] })).toEqual(["PARAMS", "METRICS", "loss", "TAGS"]);
  expect(names({ folded: ["params"], search: "0.2" })).toEqual(["PARAMS", "lr", "METRICS", "TAGS"]);
});

it("shows the metric value that was asked for, with its step", () => {
  expect(matrixRows(comparison, { ...options, value: "min" })[4]).toMatchObject({
    values: [0.4, null],
    steps: [7, null],
  });
});

it("walks the differences in both directions, around the end", () => {
  const rows = matrixRows(comparison, options);
  expect([nextDifference(rows, -1, 1), nextDifference(rows, 1, 1), nextDifference(rows, 4, 1)]).toEqual([1, 4, 1]);
  expect(nextDifference(rows, 1, -1)).toBe(4);
  expect(nextDifference([], -1, 1)).toBe(-1);
});

it("leaves out the names, which stand over the columns", () => {
  const named = {
    tags: {
      keys: ["mlflow.runName", "team"],
      values: [
        ["a", "b"],
        ["x", "y"],
      ],
      differs: [true, true],
      differing: 2,
    },
    attributes: { keys: ["run_name"], values: [["a", "b"]], differs: [true], equal: 0, differing: 1 },
  };
  expect(matrixRows(named, options).map((row) => (isHeading(row) ? [row.differing, row.total] : row.key))).toEqual([
    [1, 1],
    "team",
  ]);
});

it("says what differs", () => {
  expect(sayDifferences(comparison, 2)).toBe("These two runs differ in 1 of 2 params and 1 of 1 metrics.");
  expect(sayDifferences({ params: { equal: 3 }, metrics: { differing: 1 } }, 3)).toBe(
    "These 3 runs differ in 1 of 1 metrics. All their params are the same.",
  );
  expect(sayDifferences({}, 3)).toBe("These 3 runs have the same params, metrics, datasets and tags.");
});
