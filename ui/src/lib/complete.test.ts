import { describe, expect, it } from "vitest";
import { applySuggestion, completionAt, readFilterError, suggestions } from "./complete";

const catalogue = [
  { name: "metrics.loss", kind: "metrics", runs: 9 },
  { name: "metrics.val/loss", kind: "metrics", runs: 3 },
  { name: "params.lr", kind: "params", runs: 9 },
];
const offers = (text: string) => suggestions(completionAt(text, text.length), catalogue).map((offer) => offer.text);

describe("what completes a filter", () => {
  it("is a field at the beginning, by its own name or with its kind", () => {
    expect(offers("lo")).toEqual(["metrics.loss", "metrics.`val/loss`"]);
    expect(offers("params.")).toEqual(["params.lr"]);
  });

  it("is an operator behind a field, a word behind a value, then a field again", () => {
    expect(completionAt("metrics.loss ", 13).wants).toBe("operator");
    expect(offers("metrics.loss < 0.3 ")).toEqual(["AND", "OR"]);
    expect(offers("metrics.loss < 0.3 AND p")).toContain("params.lr");
  });

  it("replaces only the token under the cursor", () => {
    const text = "lo < 1 AND params.lr = '1'";
    const at = completionAt(text, 2);
    expect(applySuggestion(text, at, { text: "metrics.loss", hint: "" })).toEqual({
      text: "metrics.loss < 1 AND params.lr = '1'",
      cursor: 13,
    });
  });

  it("does not look into texts in quotes", () => {
    expect(completionAt("params.a = 'x AND y' ", 21).wants).toBe("joiner");
  });
});

it("finds the place that the server marks", () => {
  const wrong = readFilterError(
    "Invalid key 'bogus'. Try others.\na = 1 AND bogus = 2\n          ^^^^^",
    "a = 1 AND bogus = 2",
  );
  expect(wrong).toEqual({ words: "Invalid key 'bogus'. Try others.", span: [10, 15] });
  expect(readFilterError("Expected a value.\nparams.lr >\n           ^", "params.lr >").span).toEqual([10, 11]);
  expect(readFilterError("No mark.", "a = 1")).toEqual({ words: "No mark.", span: [0, 5] });
});
