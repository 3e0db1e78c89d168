"""Short requests to a scoring server that ask for enormous tables, nearly all of them gaps."""

from __future__ import annotations

import json
import time

import pytest

pytest.importorskip("pandas")

from runlore.exceptions import BadRequest
from runlore.serving.inputs import CSV, JSON, parse

MANY = 20_000
BOMBS = {
    "objects with names of their own": (JSON, json.dumps({"dataframe_records": [{f"a{n}": 1} for n in range(MANY)]})),
    "objects in an object": (JSON, json.dumps({"dataframe_split": {"data": {f"a{n}": {f"r{n}": 1} for n in range(MANY)}}})),
    "many titles, short rows": (CSV, ",".join(f"a{n}" for n in range(MANY)) + "\n1" * MANY),
    "a blank line before the titles": (CSV, "\n" + ",".join(f"a{n}" for n in range(MANY)) + "\n1" * MANY),
    "titles of two lines": (CSV, ",".join(f'"a{n}\n"' for n in range(MANY)) + "\n1" * MANY),
    "one long row, short ones": (CSV, "a\n" + "1," * MANY + "\n1" * MANY),
}


@pytest.mark.parametrize("name", BOMBS)
def test_gaps_are_counted_before_they_are_made(name: str) -> None:
    """Each body has some 200 kB, and would be a table of 400 million values."""
    media, body = BOMBS[name]
    began = time.process_time()
    with pytest.raises(BadRequest, match="values are allowed"):
        parse(body.encode(), media, None)
    assert time.process_time() - began < 5
