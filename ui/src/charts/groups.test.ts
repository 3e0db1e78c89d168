import { expect, it } from "vitest";
import { groupMetrics, SINGLE } from "./groups";

const curves = (...keys: string[]) => keys.map((key) => ({ key, single: false }));

it("leaves few metrics together, system metrics apart", () => {
  expect(groupMetrics(curves("val/b", "a", "system/gpu"), "")).toEqual([
    { name: "", metrics: ["a", "val/b"] },
    { name: "system", metrics: ["system/gpu"] },
  ]);
});

it("groups many metrics by prefix; those alone with theirs stand with the plain ones", () => {
  const many = curves(
    "loss",
    "only/one",
    ...["c", "b"].flatMap((name) => [1, 2, 3].map((index) => `${name}/m${index}`)),
  );
  expect(groupMetrics(many, "")).toEqual([
    { name: "", metrics: ["loss", "only/one"] },
    { name: "b", metrics: ["b/m1", "b/m2", "b/m3"] },
    { name: "c", metrics: ["c/m1", "c/m2", "c/m3"] },
  ]);
});

it("finds metrics by a part of their name and keeps their sections", () => {
  const many = curves(...["a", "b", "c"].flatMap((name) => [1, 2, 3].map((index) => `${name}/m${index}`)));
  expect(groupMetrics(many, "A/M")).toEqual([{ name: "a", metrics: ["a/m1", "a/m2", "a/m3"] }]);
});

it("puts metrics of a single point last, after system metrics", () => {
  const found = groupMetrics([{ key: "best", single: true }, ...curves("system/gpu", "val/loss")], "");
  expect(found.map((group) => group.name)).toEqual(["", "system", SINGLE]);
});
