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

it("chooses params that differ and the commonest metrics, no system metrics", () => {
  const names = defaultColumns([
    { name: "metrics.loss", kind: "metrics", runs: 9 },
    { name: "metrics.system/gpu", kind: "metrics", runs: 9 },
    { name: "params.lr", kind: "params", runs: 9, distinct: 4 },
    { name: "params.data", kind: "params", runs: 9, distinct: 1 },
    { name: "tags.team", kind: "tags", runs: 9 },
  ]);
  expect(names).toEqual(["metrics.loss", "params.lr"]);
});
