import { expect, it } from "vitest";
import { parseDelimited } from "./csv";

it("reads quotes, line ends of every system, and empty fields", () => {
  expect(parseDelimited('a,b\r\n"x, ""y""",\n1,"two\nlines"', ",", 10, false)).toEqual([
    ["a", "b"],
    ['x, "y"', ""],
    ["1", "two\nlines"],
  ]);
});

it("leaves out the row that the end of a cut-off file breaks", () => {
  expect(parseDelimited("a\tb\n1\t2\n3", "\t", 10, true)).toEqual([
    ["a", "b"],
    ["1", "2"],
  ]);
});

it("stops after the wanted rows", () => {
  expect(parseDelimited("1\n2\n3\n", ",", 2, false)).toHaveLength(2);
});
