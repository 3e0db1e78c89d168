import { expect, it } from "vitest";
import { assignStyles, ownStyle, runOrder, STYLES } from "./colours";

const ids = Array.from({ length: 200 }, (_, index) => (index * 2654435761).toString(16).padStart(32, "0"));
/** `ids` from the oldest to the newest. */
const order = runOrder([...ids].reverse(), ids.length);
const text = (style: { hue: number; dash: number } | undefined) => `${style?.hue}/${style?.dash}`;

it("gives any 24 runs in a row different styles, solid lines first", () => {
  for (const from of [0, 7, 176]) {
    const some = ids.slice(from, from + STYLES).map((id) => text(ownStyle(id, order)));
    expect(new Set(some).size).toBe(STYLES);
  }
  expect(ids.slice(0, 8).every((id) => ownStyle(id, order).dash === 0)).toBe(true);
});

it("keeps every style when more runs start and when only the newest are known", () => {
  const later = runOrder(["f".repeat(32), ...[...ids].reverse()].slice(0, 100), ids.length + 1);
  for (const id of ids.slice(120)) expect(ownStyle(id, later)).toEqual(ownStyle(id, order));
});

it("shows neighbours together as each looks by itself, in whatever order", () => {
  const some = [...ids.slice(30, 50)].sort().reverse();
  for (const [id, style] of assignStyles(some, order)) expect(style).toEqual(ownStyle(id, order));
});

it("moves the later one of two that collide, to another hue of the same dash, and remembers it", () => {
  const [one, other] = [ids[3]!, ids[3 + STYLES]!];
  expect(ownStyle(one, order)).toEqual(ownStyle(other, order));
  const moved = new Map<string, number>();
  const styles = assignStyles([one, other], order, moved);
  expect(styles.get(one)).toEqual(ownStyle(one, order));
  expect(styles.get(other)).toEqual({ hue: 4, dash: 0 });
  expect(ownStyle(other, order, moved)).toEqual(styles.get(other));
  expect(assignStyles([other, one], order, moved)).toEqual(styles);
});

it("repeats styles above 24 runs, and gives each run one", () => {
  expect(assignStyles(ids, order).size).toBe(ids.length);
});

it("gives runs of unknown place a style of their own from their id", () => {
  const none = new Map<string, number>();
  expect(ownStyle(ids[5]!, none)).toEqual(ownStyle(ids[5]!, none));
  expect(new Set(ids.map((id) => text(ownStyle(id, none)))).size).toBe(STYLES);
});
