"""What commands print: tables that fit the terminal, JSON for programs, sizes and times for people.

Names come from whoever logged them. Control characters in them are shown as `�`, so that no name can steer a terminal.
"""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from runlore.api.operation import encode

_GAP = 2
_LEAST = 8  # columns are not cut below this width


def print_json(value: Any) -> None:
    """Print a reply, or a list of them, as indented JSON; non-finite numbers as the texts "NaN", "Infinity", "-Infinity"."""
    click.echo(msgspec.json.format(encode(value), indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under titles. On a terminal long cells are cut to its width; in a pipe everything is whole."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(titles, *cells, strict=True)]
    if sys.stdout.isatty():
        widths = fitted(widths, shutil.get_terminal_size().columns)
    head = _line(titles, widths)
    click.echo(click.style(head, bold=True))
    for row in cells:
        click.echo(_line(row, widths))


def print_done(as_json: bool, name: str, ids: Sequence[str], sentence: str) -> None:
    """Say what was done: a sentence on standard error, or `{name: ids}` as JSON."""
    if as_json:
        print_json({name: list(ids)})
    else:
        click.echo(sentence, err=True)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print names and values, one a line."""
    space = max(width(name) for name, _ in fields) + _GAP
    for name, value in fields:
        click.echo(click.style(name, bold=True) + " " * (space - width(name)) + plain(value))


def fitted(widths: Sequence[int], most: int) -> list[int]:
    """Column widths that fit into `most` characters: the widest columns give way first, down to 8 characters."""
    fit = list(widths)
    while sum(fit) + _GAP * (len(fit) - 1) > most:
        widest = max(range(len(fit)), key=lambda place: fit[place])
        if fit[widest] <= _LEAST:
            break
        fit[widest] -= 1
    return fit


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    short = [cut(cell, most) for cell, most in zip(cells, widths, strict=True)]
    return "".join(cell + " " * (most - width(cell) + _GAP) for cell, most in zip(short, widths, strict=True)).rstrip()


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text
    )


def cut(text: str, most: int) -> str:
    """The text, or as much of it as fits into `most` columns, with an ellipsis."""
    if width(text) <= most:
        return text
    while text and width(text) > most - 1:
        text = text[:-1]
    return text + "…"


def plain(text: str) -> str:
    """One line without control characters."""
    return "".join("�" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter for letter in text)


def size_text(size: int) -> str:
    """Bytes for people: `1.5 GB`."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1_000:
            return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1_000
    return f"{number:.1f} TB"


def time_text(millis: int | None) -> str:
    """Unix milliseconds as local time."""
    if not millis:
        return "-"
    try:
        return datetime.fromtimestamp(millis / 1_000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(millis)


def duration_text(millis: int) -> str:
    """Milliseconds for people: `0.350 s`, `12.0 s`, `5 min 3 s`, `2 h 5 min`, `3 d 2 h`."""
    seconds = round(millis / 1_000)
    if seconds < 60:
        return f"{millis / 1_000:.3f} s" if millis < 10_000 else f"{millis / 1_000:.1f} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    return f"{seconds // 86_400} d {seconds % 86_400 // 3_600} h"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
