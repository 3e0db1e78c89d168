import { expect, it } from "vitest";
import { formatClock, formatX, sayX } from "./axis";

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
