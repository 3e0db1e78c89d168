import { expect, it } from "vitest";
import { Trail } from "./undo";

it("goes back through what was shown and forward again, until something else is shown", () => {
  const trail = new Trail({ f: "" });
  for (const f of ["a", "a", "b", "c"]) trail.visit({ f });
  expect([trail.back(), trail.back()]).toEqual([{ f: "b" }, { f: "a" }]);
  trail.visit({ f: "a" });
  expect(trail.forward()).toEqual({ f: "b" });
  trail.visit({ f: "d" });
  expect([trail.forward(), trail.back()]).toEqual([undefined, { f: "b" }]);
});

it("remembers a hundred states", () => {
  const trail = new Trail(0);
  for (let state = 1; state <= 150; state++) trail.visit(state);
  for (let state = 149; state >= 50; state--) expect(trail.back()).toBe(state);
  expect(trail.back()).toBeUndefined();
});
