/** Text with a terminal's colour codes, as pieces of one look each. */

export interface Piece {
  text: string;
  /** A terminal's colour by its number (0 black … 7 white); bright ones count as plain. */
  colour?: number;
  bold?: boolean;
  faint?: boolean;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what codes begin with
const CODE = /\u001b\[([0-9;:]*)([@-~])/g;

/** The pieces of `text`; codes that say nothing about looks are left out. */
export function ansiPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let look: Omit<Piece, "text"> = {};
  let from = 0;
  const take = (end: number) => {
    if (end > from) pieces.push({ text: text.slice(from, end), ...look });
  };
  for (const match of text.matchAll(CODE)) {
    take(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") look = changed(look, match[1]!.split(/[;:]/).map(Number));
  }
  take(text.length);
  return pieces;
}

function changed(look: Omit<Piece, "text">, codes: readonly number[]): Omit<Piece, "text"> {
  let next = { ...look };
  for (let place = 0; place < codes.length; place++) {
    const code = codes[place]!;
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.faint = true;
    else if (code === 22) {
      delete next.bold;
      delete next.faint;
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) next.colour = code % 10;
    else if (code === 39) delete next.colour;
    // 256 and true colours: their numbers are no codes of their own.
    else if (code === 38 || code === 48) place += codes[place + 1] === 5 ? 2 : 4;
  }
  return next;
}
