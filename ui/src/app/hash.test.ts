import { expect, it } from "vitest";
import { fromHash } from "./hash";

it("understands the addresses that MLflow clients print", () => {
  const run = "0123456789abcdef0123456789abcdef";
  expect(fromHash(`#/experiments/3/runs/${run}`)).toBe(`/e/3/r/${run}/overview`);
  expect(fromHash("#/experiments/3")).toBe("/e/3/runs");
  expect(fromHash("#/models/my%20model/versions/2")).toBe("/models/my%20model");
  expect(fromHash("#main")).toBeNull();
});
