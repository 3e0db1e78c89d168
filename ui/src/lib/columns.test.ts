import { expect, it } from "vitest";
import { columnName, defaultColumns, filterField, parseColumn } from "./columns";

it.each([
  ["metrics.loss", { kind: "metrics", key: "loss", aggregate: "last" }],
  ["metrics.val/loss@min", { kind: "metrics", key: "val/loss", aggregate: "min" }],
  ["metrics.recall@10", { kind: "metrics", key: "recall@10", aggregate: "last" }],
  ["metrics.recall@10@max", { kind: "metrics", key: "recall@10", aggregate: "max" }],
  ["params.a.b@min", { kind: "params", key: "a.b@min", aggregate: "last" }],
  ["attributes.status", { kind: "attributes", key: "status", aggregate: "last" }],
] as const)("reads %s", (name, parts) => {
  expect(parseColumn(name)).toEqual(parts);
  expect(columnName(parts.kind, parts.key, parts.aggregate)).toBe(name);
});

it("quotes field names that are not plain words", () => {
  expect(filterField("params", "lr")).toBe("params.lr");
  expect(filterField("metrics", "val/loss")).toBe("metrics.`val/loss`");
  expect(filterField("tags", "my tag")).toBe("tags.`my tag`");
});

it("chooses the params that differ, then the metrics of most runs, no system metrics", () => {
  const names = defaultColumns([
    { name: "metrics.system/gpu", kind: "metrics", runs: 9 },
    { name: "metrics.loss", kind: "metrics", runs: 9, minimum: 0.1, maximum: 0.4 },
    { name: "params.lr", kind: "params", runs: 9, distinct: 4 },
    { name: "params.data", kind: "params", runs: 9, distinct: 1 },
    { name: "tags.team", kind: "tags", runs: 9, distinct: 3 },
  ]);
  expect(names).toEqual(["params.lr", "metrics.loss"]);
});

it("takes at most 8 params and 5 metrics, those of most runs", () => {
  const many = Array.from({ length: 20 }, (_, index) => [
    { name: `params.p${index}`, kind: "params", runs: index, distinct: 2 },
    { name: `metrics.m${index}`, kind: "metrics", runs: index, minimum: 0, maximum: 1 },
  ]).flat();
  expect(defaultColumns(many)).toEqual([
    ...[19, 18, 17, 16, 15, 14, 13, 12].map((index) => `params.p${index}`),
    ...[19, 18, 17, 16, 15].map((index) => `metrics.m${index}`),
  ]);
});

it("puts metrics that are the same in every run behind those that differ", () => {
  const names = defaultColumns([
    { name: "metrics.epoch", kind: "metrics", runs: 9, minimum: 16, maximum: 16 },
    { name: "metrics.loss", kind: "metrics", runs: 9, minimum: 0.1, maximum: 0.4 },
    { name: "metrics.best", kind: "metrics", runs: 1, minimum: 2, maximum: 2 },
  ]);
  expect(names).toEqual(["metrics.loss", "metrics.best", "metrics.epoch"]);
});
