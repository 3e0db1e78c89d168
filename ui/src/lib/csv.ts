/** The first rows of delimited text, quoted fields included. For previews: it stops after `most` rows. */

/** Rows of fields. `complete` is false when the text ends inside a row that may go on in the rest of the file. */
export function parseDelimited(text: string, delimiter: string, most: number, truncated: boolean): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  for (let index = 0; index < text.length && rows.length < most; index++) {
    const character = text[index]!;
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[index + 1] === '"') {
        field += '"';
        index += 1;
      } else quoted = false;
    } else if (character === '"' && field === "") quoted = true;
    else if (character === delimiter) {
      row.push(field);
      field = "";
    } else if (character === "\n" || character === "\r") {
      if (character === "\r" && text[index + 1] === "\n") index += 1;
      row.push(field);
      rows.push(row);
      row = [];
      field = "";
    } else field += character;
  }
  if (rows.length < most && !truncated && (field !== "" || row.length > 0)) rows.push([...row, field]);
  return rows;
}
