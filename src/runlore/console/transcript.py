"""What a terminal would show: progress bars are one line, not thousands.

Carriage returns, backspaces, cursor movements and erasures are carried out on the last lines; colours stay in the text as the
codes they came as; everything else that steers a terminal is dropped. Lines that have scrolled out of reach are settled.
"""

from __future__ import annotations

import re

WINDOW = 24
"""How many of the last lines can still change: nested progress bars move the cursor up."""
MAX_LINE = 32_768
"""Characters after which a line that goes on is broken."""

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f]+)"
    r"|(?P<csi>\x1b\[[0-?]*[ -/]*[@-~])"
    r"|(?P<dropped>\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[()*+#%][ -~]|\x1b[ -/]*[0-Z\\^-~])"
    r"|(?P<open>\x1b(?:\[[0-?]*|[()*+#%])?[ -/]{0,16}\Z|\x1b\][^\x07\x1b]{0,4096}\x1b?\Z|\x1b[PX^_][^\x1b]{0,4096}\x1b?\Z)"
    r"|(?P<control>[\x00-\x1f\x7f])"
)
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Transcript:
    """Takes text as it is printed, gives lines. Not safe to use from several threads."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._row = self._column = 0
        self._colours = ""  # codes that wait for the character they belong to
        self._rest = ""
        self._settled: list[str] = []

    def feed(self, text: str) -> None:
        """Take printed text; escape codes may be cut anywhere."""
        text = self._rest + text
        self._rest = ""
        if not _STEERING.search(text) and self._at_end() and not self._colours:
            self._append(text)
            return
        for token in _TOKEN.finditer(text):
            kind, found = token.lastgroup, token[0]
            if kind == "text":
                self._put(found)
            elif kind == "csi":
                self._steer(found[2:-1], found[-1], found)
            elif kind == "control":
                self._control(found)
            elif kind == "open":
                self._rest = found

    def settled(self) -> str:
        """Lines that can not change any more, since the last call."""
        text = "".join(self._settled)
        self._settled.clear()
        return text

    def live(self) -> str:
        """The last lines as they are now. They come again, changed or not, in later answers of `settled` and `live`."""
        return "\n".join("".join(line) for line in self._lines) + self._colours

    def _at_end(self) -> bool:
        return self._row == len(self._lines) - 1 and self._column == len(self._lines[-1])

    def _append(self, text: str) -> None:
        """Text without codes at the very end: the usual case, and quick."""
        first, *others = text.split("\n")
        self._lines[-1].extend(first)
        if len(others) > WINDOW:
            gone = others[: len(others) - WINDOW]
            self._settled += ["".join(line) + "\n" for line in self._lines]
            self._settled.append("".join(f"{line}\n" for line in gone))
            self._lines, others = [], others[len(gone) :]
        self._lines += [list(line) for line in others]
        self._row, self._column = len(self._lines) - 1, len(self._lines[-1])
        if self._column > MAX_LINE:
            self._feed_line()
        self._settle()

    def _put(self, text: str) -> None:
        line, cells = self._lines[self._row], list(text)
        if self._colours:
            cells[0] = self._colours + cells[0]
            self._colours = ""
        if self._column > len(line):
            line.extend(" " * (self._column - len(line)))
        line[self._column : self._column + len(cells)] = cells
        self._column += len(cells)
        if self._column > MAX_LINE:
            self._feed_line()

    def _end_colours(self) -> None:
        """Before the cursor moves: codes that wait, mostly the end of a colour, belong to the character before it."""
        if self._colours and 0 < self._column <= len(self._lines[self._row]):
            self._lines[self._row][self._column - 1] += self._colours
            self._colours = ""

    def _control(self, letter: str) -> None:
        self._end_colours()
        if letter == "\n":
            self._feed_line()
        elif letter == "\r":
            self._column = 0
        elif letter == "\b":
            self._column = max(0, self._column - 1)

    def _feed_line(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._lines):
            self._lines.append([])
        self._settle()

    def _settle(self) -> None:
        while len(self._lines) > WINDOW and self._row > 0:
            self._settled.append("".join(self._lines.pop(0)) + "\n")
            self._row -= 1

    def _steer(self, numbers: str, letter: str, code: str) -> None:
        """A control sequence, such as `\\x1b[2A`: two lines up."""
        line = self._lines[self._row]
        first = numbers.partition(";")[0]
        number = int(first) if first.isdecimal() and len(first) < 6 else 0
        if letter == "m":
            self._colours += code if len(self._colours) < 256 else ""
            return
        self._end_colours()
        if letter in "AF":
            self._move(-max(1, number), letter == "F")
        elif letter in "BE":
            self._move(max(1, number), letter == "E")
        elif letter == "C":
            self._column = min(self._column + max(1, number), MAX_LINE)
        elif letter == "D":
            self._column = max(0, self._column - max(1, number))
        elif letter == "G":
            self._column = min(max(1, number), MAX_LINE) - 1
        elif letter == "K" and number == 0:
            del line[self._column :]
        elif letter == "K":
            line[: len(line) if number == 2 else self._column] = [" "] * (0 if number == 2 else self._column)
        elif letter == "J" and number == 0:
            del line[self._column :]
            del self._lines[self._row + 1 :]

    def _move(self, rows: int, to_start: bool) -> None:
        self._row = min(max(0, self._row + rows), len(self._lines) - 1)
        self._column = 0 if to_start else self._column
