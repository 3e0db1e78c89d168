import { expect, it } from "vitest";
import { groupRuns } from "./grouping";

it("takes runs with the same values together, whatever their spelling, in order", () => {
  const runs = [
    { id: "a", values: ["10"] },
    { id: "b", values: [null] },
    { id: "c", values: ["2"] },
    { id: "d", values: ["10.0"] },
  ];
  expect(groupRuns(runs, ["params.lr"]).map((group) => [group.name, group.runIds])).toEqual([
    ["2 (1)", ["c"]],
    ["10 (2)", ["a", "d"]],
    ["none (1)", ["b"]],
  ]);
});

it("names the columns where there are several, and gives each group a style of its own", () => {
  const runs = Array.from({ length: 20 }, (_, index) => ({ id: String(index), values: [String(index % 10), "x"] }));
  const groups = groupRuns(runs, ["params.lr", "params.opt"]);
  expect(groups[3]?.id).toBe("lr 3, opt x");
  expect(new Set(groups.map((group) => JSON.stringify(group.style))).size).toBe(10);
});
