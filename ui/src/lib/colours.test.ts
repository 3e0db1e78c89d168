import { expect, it } from "vitest";
import { assignStyles, ownStyle, STYLES } from "./colours";

const ids = Array.from({ length: 200 }, (_, index) => (index * 2654435761).toString(16).padStart(32, "0"));
const text = (style: { hue: number; dash: number } | undefined) => `${style?.hue}/${style?.dash}`;

it("gives every one of 24 runs a style of its own", () => {
  const styles = assignStyles(ids.slice(0, STYLES));
  expect(new Set([...styles.values()].map(text)).size).toBe(STYLES);
});

it("uses all hues with solid lines before any dash", () => {
  const styles = [...assignStyles(ids.slice(0, 8)).values()];
  expect(new Set(styles.map((style) => style.hue)).size).toBe(8);
  expect(styles.every((style) => style.dash === 0)).toBe(true);
});

it("lets the first keep its own colour, and does not change when later runs join", () => {
  const few = assignStyles(ids.slice(0, 5));
  const many = assignStyles(ids.slice(0, 20));
  expect(few.get(ids[0]!)).toEqual(ownStyle(ids[0]!));
  for (const id of ids.slice(0, 5)) expect(many.get(id)).toEqual(few.get(id));
});

it("repeats styles above 24 runs, and gives each run one", () => {
  expect(assignStyles(ids).size).toBe(ids.length);
});

it("spreads runs over all hues", () => {
  expect(new Set(ids.map((id) => ownStyle(id).hue)).size).toBe(8);
});
