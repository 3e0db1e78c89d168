import { expect, it } from "vitest";
import { mergeWindow } from "./windows";

const held = { run_ids: ["a", "b"], columns: { "metrics.loss": [1, 2] }, total: 2 };
const latest = { run_ids: ["new", "a"], columns: { "metrics.loss": [9, 1.5] }, total: 3 };

it("shows new values at once and keeps the rows where they are while someone reads", () => {
  const { window, moved } = mergeWindow(held, latest, false);
  expect(window.run_ids).toEqual(["a", "b"]);
  expect(window.columns["metrics.loss"]).toEqual([1.5, 2]);
  expect(window.total).toBe(3);
  expect(moved).toBe(true);
});

it("takes the new order when nobody looks, and when only values changed", () => {
  expect(mergeWindow(held, latest, true)).toEqual({ window: latest, moved: false });
  const same = { ...held, columns: { "metrics.loss": [5, 6] } };
  expect(mergeWindow(held, same, false)).toEqual({ window: same, moved: false });
});
