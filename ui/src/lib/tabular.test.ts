import { expect, it } from "vitest";
import { writeTable } from "./tabular";

const head = ["key", "a|b", "c"];
const rows = [
  ["lr", "0.1", "1e-3"],
  ["note_1", 'say "hi", 50%', "two\nlines"],
];

it("writes Markdown with bars and line ends inside fields", () => {
  expect(writeTable(head, rows, "markdown")).toBe(
    '| key | a\\|b | c |\n| --- | --- | --- |\n| lr | 0.1 | 1e-3 |\n| note_1 | say "hi", 50% | two lines |\n',
  );
  expect(
    writeTable(
      ["k", "v"],
      [
        ["a", "1"],
        ["b", ""],
      ],
      "markdown",
    ),
  ).toContain("| --- | ---: |");
});

it("writes CSV that spreadsheets read as data, never as a formula", () => {
  expect(writeTable(head, rows, "csv")).toBe('key,a|b,c\r\nlr,0.1,1e-3\r\nnote_1,"say ""hi"", 50%","two\nlines"\r\n');
  expect(writeTable(["k"], [["=1+1"], ["-2"], ["-2+x"]], "csv")).toBe("k\r\n'=1+1\r\n-2\r\n'-2+x\r\n");
});

it("writes LaTeX with its signs escaped", () => {
  expect(writeTable(head, rows, "latex")).toContain('  note\\_1 & say "hi", 50\\% & two lines \\\\');
  expect(writeTable(head, rows, "latex")).toContain("\\begin{tabular}{lrr}");
});
