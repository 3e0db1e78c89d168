/** A table as text for other programs: Markdown, CSV, LaTeX. */

export type Format = "markdown" | "csv" | "latex" | "tsv";

/** `head` and every row have the same number of fields. */
export function writeTable(head: readonly string[], rows: readonly (readonly string[])[], format: Format): string {
  if (format === "csv") return `${[head, ...rows].map((row) => row.map(csvField).join(",")).join("\r\n")}\r\n`;
  if (format === "tsv")
    return [head, ...rows].map((row) => row.map((field) => field.replace(/\s+/g, " ")).join("\t")).join("\n");
  return format === "markdown" ? markdown(head, rows) : latex(head, rows);
}

/** Quoted where it must be. Text that a spreadsheet would run as a formula is made plain text by an apostrophe. */
function csvField(field: string): string {
  const safe = /^[=+\-@\t\r]/.test(field) && Number.isNaN(Number(field)) ? `'${field}` : field;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (fields: readonly string[]) =>
    `| ${fields
      .map((field) =>
        field
          .replace(/\\/g, "\\\\")
          .replace(/\|/g, "\\|")
          .replace(/\s*\n\s*/g, " "),
      )
      .join(" | ")} |`;
  const rule = head.map((_, place) => (place > 0 && rows.every((row) => isNumeric(row[place]!)) ? "---:" : "---"));
  return [line(head), `| ${rule.join(" | ")} |`, ...rows.map(line), ""].join("\n");
}

function isNumeric(field: string): boolean {
  return field === "" || !Number.isNaN(Number(field));
}

const LATEX: Record<string, string> = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "\n": " ",
};

function latex(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const field = (text: string) => text.replace(/[\\~^\n&%$#_{}]/g, (sign) => LATEX[sign] ?? `\\${sign}`);
  const line = (fields: readonly string[]) => `  ${fields.map(field).join(" & ")} \\\\`;
  const columns = head.map((_, place) => (place > 0 ? "r" : "l")).join("");
  return [
    `\\begin{tabular}{${columns}}`,
    "  \\hline",
    line(head),
    "  \\hline",
    ...rows.map(line),
    "  \\hline",
    "\\end{tabular}",
    "",
  ].join("\n");
}
