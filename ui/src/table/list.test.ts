import { expect, it } from "vitest";
import { arrange } from "./list";

const rows = [
  { name: "run 10", loss: 2 },
  { name: "run 9", loss: Number.NaN },
  { name: "other", loss: 1 },
];
const words = (row: (typeof rows)[number]) => [row.name, null];
const values = { name: (row: (typeof rows)[number]) => row.name, loss: (row: (typeof rows)[number]) => row.loss };
const names = (wanted: string, column: string, descending: boolean) =>
  arrange(rows, wanted, words, { column, descending }, values).map((row) => row.name);

it("finds rows by a part of any of their words", () => {
  expect(names("RUN", "", false)).toEqual(["run 10", "run 9"]);
});

it("sorts numbers in names as numbers, and puts what is no number last in both directions", () => {
  expect(names("", "name", false)).toEqual(["other", "run 9", "run 10"]);
  expect(names("", "loss", false)).toEqual(["other", "run 10", "run 9"]);
  expect(names("", "loss", true)).toEqual(["run 10", "other", "run 9"]);
});

it("leaves the order alone where no column that sorts is named", () => {
  expect(arrange(rows, "", words, null, values)).toEqual(rows);
});
