"""Texts made to keep a reader busy: what is read in one pass is refused at once, whatever stands in it.

Read with second thoughts, each of these would take hours, or stop the server for seconds; the connection waits 30 s.
"""

from __future__ import annotations

import pytest
from tests.server.live import House
from tests.server.wire import API

from runlore.exceptions import InvalidParameter
from runlore.query import RUN_TABLE, RUNS, Comparison, parse_filter

JSON = {"Content-Type": "application/json"}
SIZE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        b'"' + b'\\"' * SIZE,
        b'"' + b"\\\\" * SIZE,
        b'"' + b'\\"' * SIZE + b"\\",
        b'"a' * (SIZE // 2),
        b'"\\\n' * (SIZE // 2),
        b'"' * (2 * SIZE - 1),
        b'"' + b"\\" * (2 * SIZE - 1),
        b"[" * SIZE,
        b"[]" * (SIZE - 100),
        b'"]' * (SIZE - 100),
    ],
    ids=["quotes", "backslashes", "open end", "texts", "lines", "only quotes", "only backslashes", "open", "pairs", "closed"],
)
def test_a_body_is_read_once(house: House, text: bytes) -> None:
    answer = house.ask("POST", API + "experiments/create", JSON, b"[" * 40 + text)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("head", ["", "-", ".", "1.", "1e"])
@pytest.mark.parametrize("tail", ["", "a", ".", "..", "e", "e+", "_"])
def test_a_filter_is_read_once(head: str, tail: str) -> None:
    number = head + "1" * 8_000 + tail
    for source in (f"metrics.x > {number}", number, f"params.x = '{number}'"):
        for subject in (RUNS, RUN_TABLE):
            try:
                tree = parse_filter(source, subject)
            except InvalidParameter:
                continue
            assert isinstance(tree, Comparison)


@pytest.mark.parametrize(
    "character", [" ", "\t", "'", '"', "`", "\\", "\\'", "\\''", "''", "(", "((", ",", ".", "-", "a.", "NOT "]
)
def test_a_filter_of_one_character_is_read_once(house: House, character: str) -> None:
    for begin in ("", "params.x = '", 'params.x = "', "params.`", "params.x IN ("):
        text = (begin + character * 8_000)[:8_000] + "\x01"
        for subject in (RUNS, RUN_TABLE):
            with pytest.raises(InvalidParameter):
                parse_filter(text, subject)


@pytest.mark.parametrize(
    "pattern", ["%a" * 128, "%_" * 128, "%a_" * 85 + "b", "%ab" * 85 + "c", "%" + "_" * 255, "%" + "a" * 254 + "b", "%" * 256]
)
@pytest.mark.parametrize("operator", ["LIKE", "ILIKE"])
def test_a_pattern_has_no_second_thoughts(house: House, pattern: str, operator: str) -> None:
    """Matching with backtracking would try as many ways as there are stars in the night."""
    run_id = house.new_run()
    for number in range(20):
        value = {"run_id": run_id, "key": f"t{number}", "value": "a" * 7_999 + "!"}
        assert house.call("POST", "runs/set-tag", value).status == 200
    text = " AND ".join(f"tags.t{number} {operator} '{pattern}'" for number in range(20))
    answer = house.call("POST", "runs/search", {"experiment_ids": ["0"], "filter": text})
    assert answer.status == 200
