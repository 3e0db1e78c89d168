import { describe, expect, it } from "vitest";
import { chartsSearch, formatSort, nextSort, parseSearch, parseSort, runsSearch, stringifySearch } from "./search";

describe("search parameters in the address", () => {
  it.each([
    {},
    { f: "metrics.loss < 0.3 AND params.opt = 'adam'", sort: "-metrics.val/acc@max" },
    { cols: ["params.lr", 'tags."odd", [name]'] },
    { q: "12" },
    { q: "true" },
    { q: "1e3" },
    { q: "null" },
    { q: '"quoted"' },
    { q: "[1" },
    { q: "a+b & c=d # e % ü 日本" },
    { smooth: 0.9, log: true },
  ])("come back as they were: %j", (search) => {
    expect(parseSearch(stringifySearch(search).replace(/^\?/, ""))).toEqual(search);
  });

  it("are readable", () => {
    expect(stringifySearch({ sort: "-metrics.val/loss@min", x: "time" })).toBe("?sort=-metrics.val/loss@min&x=time");
  });

  it("survive being broken by hand", () => {
    expect(parseSearch('cols=["a')).toEqual({ cols: '["a' });
  });
});

it.each([
  { cols: ["params.lr", "metrics.val/loss@min"], sel: ["0123456789abcdef0123456789abcdef", "1".repeat(32)] },
  { cols: [], sel: ["12345678901234567890123456789012"] },
  { cols: ["params.a,b", "true"] },
  { cols: ["tags.[x"], f: "1" },
])("columns and selections come back as they were: %j", (search) => {
  expect(runsSearch(parseSearch(stringifySearch(search).replace(/^\?/, "")))).toEqual(search);
});

it("takes only what makes sense for the runs table", () => {
  const id = "0123456789abcdef0123456789abcdef";
  expect(runsSearch({ f: 12, sort: "", cols: 7, sel: [id, "../etc", 3], other: 1 })).toEqual({ f: "12", sel: [id] });
  expect(runsSearch({ cols: [] })).toEqual({ cols: [] });
});

it("takes only what makes sense for charts", () => {
  expect(chartsSearch({ x: "sideways", smooth: 7, log: "yes" })).toEqual({});
  expect(chartsSearch({ x: "time", smooth: 0.9, log: true, m: "loss" })).toEqual({
    x: "time",
    smooth: 0.9,
    log: true,
    m: "loss",
  });
});

it("sorts descending, ascending, then not at all", () => {
  const first = nextSort(null, "metrics.loss");
  const second = nextSort(first, "metrics.loss");
  expect(formatSort(first)).toBe("-metrics.loss");
  expect(formatSort(second)).toBe("metrics.loss");
  expect(nextSort(second, "metrics.loss")).toBeNull();
  expect(parseSort(formatSort(first))).toEqual(first);
});
