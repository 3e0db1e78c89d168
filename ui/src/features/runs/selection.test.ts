import { expect, it } from "vitest";
import { Selection } from "./selection";

it("marks and unmarks runs by name", () => {
  const some = new Selection({ sel: ["a", "b"] }, 10);
  expect([some.size, some.has("a"), some.has("c"), some.ids]).toEqual([2, true, false, ["a", "b"]]);
  expect(some.with(["c"], true)).toEqual({ sel: ["a", "b", "c"] });
  expect(some.with(["a", "b"], false)).toEqual({ sel: undefined });
  expect(some.chosen("7")).toEqual({ experimentId: "7", runIds: ["a", "b"] });
});

it("takes all that match except some", () => {
  const most = new Selection({ every: true, sel: ["a"], f: "params.x = '1'" }, 10);
  expect([most.size, most.has("a"), most.has("c"), most.ids]).toEqual([9, false, true, null]);
  expect(most.with(["c"], false)).toEqual({ sel: ["a", "c"] });
  expect(most.with(["a"], true)).toEqual({ sel: undefined });
  expect(most.chosen("7")).toEqual({ experimentId: "7", filter: "params.x = '1'", except: ["a"] });
});
