/** What may be written at a place in a filter: the token under the cursor and what would complete it. */

import { filterField, parseColumn } from "./columns";

export interface Suggestion {
  /** What is put in place of the token. */
  text: string;
  /** What is shown beside it. */
  hint: string;
}

export interface Completion {
  /** Where the token begins and ends. */
  from: number;
  to: number;
  token: string;
  wants: "field" | "operator" | "value" | "joiner";
}

const TOKEN = /'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|(?:[\w.@/-]|`[^`]*`?)+|[<>=!~]+|[(),]/g;
const OPERATORS: readonly Suggestion[] = [
  { text: "=", hint: "equals" },
  { text: "!=", hint: "differs" },
  { text: "<", hint: "less than" },
  { text: "<=", hint: "at most" },
  { text: ">", hint: "greater than" },
  { text: ">=", hint: "at least" },
  { text: "LIKE", hint: "matches %, case matters" },
  { text: "ILIKE", hint: "matches %, any case" },
  { text: "IN", hint: "one of ('a', 'b')" },
  { text: "NOT IN", hint: "none of ('a', 'b')" },
  { text: "IS NULL", hint: "not logged" },
  { text: "IS NOT NULL", hint: "logged" },
];
const JOINERS: readonly Suggestion[] = [
  { text: "AND", hint: "both" },
  { text: "OR", hint: "either" },
];
const ATTRIBUTES: readonly Suggestion[] = [
  "status",
  "run_name",
  "start_time",
  "end_time",
  "duration",
  "user_id",
  "run_id",
].map((key) => ({ text: `attributes.${key}`, hint: "attribute" }));

/** The token that ends at or surrounds `cursor`, and what kind of token belongs there. */
export function completionAt(text: string, cursor: number): Completion {
  const before: string[] = [];
  let from = cursor;
  let to = cursor;
  for (const match of text.matchAll(TOKEN)) {
    const start = match.index;
    const end = start + match[0].length;
    if (start < cursor && cursor <= end) {
      from = start;
      to = end;
      break;
    }
    if (end <= cursor) before.push(match[0]);
    else break;
  }
  return { from, to, token: text.slice(from, cursor), wants: wanted(before) };
}

function wanted(before: readonly string[]): Completion["wants"] {
  let state: Completion["wants"] = "field";
  for (const token of before) {
    if (/^(and|or|not|\()$/i.test(token)) state = "field";
    else if (state === "field") state = "operator";
    else if (state === "operator") state = "value";
    else if (state === "value") state = "joiner";
  }
  return state;
}

interface Entry {
  name: string;
  kind: string;
  runs: number;
}

/** At most `most` suggestions for a place, best first. */
export function suggestions(at: Completion, catalogue: readonly Entry[], most = 12): Suggestion[] {
  const typed = at.token.toLowerCase().replace(/`/g, "");
  if (at.wants === "operator") return OPERATORS.filter((item) => item.text.toLowerCase().startsWith(typed));
  if (at.wants === "joiner") return JOINERS.filter((item) => item.text.toLowerCase().startsWith(typed));
  if (at.wants === "value") {
    const words = ["'FINISHED'", "'RUNNING'", "'FAILED'", "'KILLED'"];
    return words
      .filter((word) => typed !== "" && word.toLowerCase().includes(typed.replace(/['"]/g, "")))
      .map((word) => ({ text: word, hint: "status" }));
  }
  const fields = catalogue
    .filter((entry) => entry.kind !== "attributes")
    .map((entry) => {
      const { kind, key } = parseColumn(entry.name);
      return { text: filterField(kind, key), hint: `${entry.runs} ${entry.runs === 1 ? "run" : "runs"}` };
    });
  const all = [...fields, ...ATTRIBUTES].map((item) => ({ item, plain: item.text.replace(/`/g, "").toLowerCase() }));
  const rank = (plain: string) => {
    if (plain.startsWith(typed)) return 0;
    return plain.slice(plain.indexOf(".") + 1).startsWith(typed) ? 1 : 2;
  };
  return all
    .filter(({ plain }) => plain.includes(typed) && plain !== typed)
    .sort((left, right) => rank(left.plain) - rank(right.plain))
    .slice(0, most)
    .map(({ item }) => item);
}

/** The text and the cursor after a suggestion was taken. */
export function applySuggestion(
  text: string,
  at: Completion,
  suggestion: Suggestion,
): { text: string; cursor: number } {
  const rest = text.slice(at.to).replace(/^ /, "");
  const head = `${text.slice(0, at.from)}${suggestion.text} `;
  return { text: head + rest, cursor: head.length };
}

/** What the server says about a filter: the words, and the place, which it marks with carets under a copy of the filter. */
export function readFilterError(message: string, text: string): { words: string; span: [from: number, to: number] } {
  const marked = /^([\s\S]*?)\n(.*)\n( *)(\^+)\s*$/.exec(message);
  if (!marked) return { words: message, span: [0, text.length] };
  const [, words = "", copy = "", space = "", carets = ""] = marked;
  const shift = Math.max(0, text.indexOf(copy.trim())) - (copy.length - copy.trimStart().length);
  const to = Math.min(text.length, space.length + shift + carets.length);
  // A mark behind the end means that something is missing there: the last character stands for it.
  const from = Math.max(0, Math.min(space.length + shift, to - 1));
  return { words, span: [from, to] };
}
