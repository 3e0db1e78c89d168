"""What a terminal would show of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlore.console import Transcript


def shown(*texts: str) -> str:
    transcript = Transcript()
    for text in texts:
        transcript.feed(text)
    return transcript.settled() + transcript.live()


RED, END = "\x1b[31m", "\x1b[0m"


@pytest.mark.parametrize(
    ("printed", "expected"),
    {
        "a\nb\n": "a\nb\n",
        " 10%|#   |\r 50%|##  |\r100%|####|\ndone\n": "100%|####|\ndone\n",
        "long line\rshort\n": "shortline\n",
        "long line\r\x1b[Kshort\n": "short\n",
        "ab\b\bX\n": "Xb\n",
        "windows\r\nline\r\n": "windows\nline\n",
        "epoch 1\nbatch 1\x1b[A\repoch 2\n\rbatch 2\n": "epoch 2\nbatch 2\n",
        "one\ntwo\x1b[1Fone!\x1b[1Enew\n": "one!\nnew\n",
        "one\ntwo\nthree\x1b[2A\r\x1b[J!": "!",
        f"{RED}red{END} plain\n": f"{RED}red{END} plain\n",
        f"{RED}10%{END}\r{RED}20%{END}\n": f"{RED}20%{END}\n",
        "\x1b]0;a title\x07text\n": "text\n",
        "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\\n": "link\n",
        "\x1b[?25lhidden cursor\x1b[?25h\n": "hidden cursor\n",
        "bell\x07 and nul\x00\n": "bell and nul\n",
        "tab\tstays\n": "tab\tstays\n",
        "xyz\x1b[2D.\x1b[3C!\n": "x.z  !\n",
        "abc\x1b[1GX\n": "Xbc\n",
    }.items(),
)
def test_steering(printed: str, expected: str) -> None:
    assert shown(printed) == expected
    assert shown(*printed) == expected  # letter by letter, codes cut in the middle


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs"))), max_size=60), st.data())
def test_plain_lines_stay_as_they_are_however_they_are_cut(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert shown(*pieces) == text


@given(st.text(st.sampled_from("ab\r\n\b\x1b[]0123456789;AJKHmGCD\x07\\ ")))
def test_any_text_is_taken_and_nothing_steers_a_terminal(text: str) -> None:
    left = shown(text, "\x1b")
    assert not set(left) & set("\r\b\x07")
    assert all(code[1:].partition("m")[0].replace(";", "").replace("[", "", 1).isdigit() or code[2:3] == "m"
               for code in ("\x1b" + part for part in left.split("\x1b")[1:]))  # fmt: skip


def test_what_has_scrolled_away_is_settled_once() -> None:
    transcript = Transcript()
    text = "".join(f"line {number}\n" for number in range(1_000))
    settled = ""
    for start in range(0, len(text), 77):
        transcript.feed(text[start : start + 77])
        settled += transcript.settled()
        assert text.startswith(settled + transcript.live()[:5])
    assert settled + transcript.live() == text
    assert len(transcript.live().splitlines()) < 30


def test_a_line_without_end_is_broken_and_codes_without_end_are_text() -> None:
    assert len(shown("\r", *["." * 1_000] * 100).splitlines()) == 4
    assert len(shown(*["." * 1_000] * 100).splitlines()) == 4
    assert shown("a\x1b]" + "x" * 10_000, "b\n") == "a]" + "x" * 10_000 + "b\n"
    assert shown("a\x1b[12", "\n34m\n") == "a[12\n34m\n"
