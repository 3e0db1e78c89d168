import { expect, it } from "vitest";
import { formatClock, formatX, sayX } from "./axis";
import { groupMetrics } from "./groups";

it("writes steps shortly on the axis and exactly in the tooltip", () => {
  expect(formatX(120_000, "step")).toBe("120k");
  expect(formatX(1500, "step")).toBe("1,500");
  expect(formatX(2_500_000, "step")).toBe("2.5M");
  expect(sayX(123_456, 0, "step")).toBe("step 123,456");
  expect(sayX(9.5, 4, "step")).toBe("steps 8–11");
});

it("says the date where a day begins", () => {
  const noon = new Date(2026, 10, 23, 12).getTime() / 1000;
  expect(formatClock([noon, noon + 3600, noon + 43_200], 3600)).toEqual(["11-23 12:00", "13:00", "11-24 00:00"]);
});

it("groups many metrics by prefix and leaves few together, system metrics apart", () => {
  expect(groupMetrics(["val/b", "a", "system/gpu"], "").map((group) => group.name)).toEqual(["", "system"]);
  const many = ["loss", ...["c", "a", "b"].flatMap((name) => [1, 2, 3].map((index) => `${name}/m${index}`))];
  expect(groupMetrics(many, "").map((group) => group.name)).toEqual(["", "a", "b", "c"]);
  expect(groupMetrics(many, "A/M").map((group) => group.metrics)).toEqual([["a/m1", "a/m2", "a/m3"]]);
});
