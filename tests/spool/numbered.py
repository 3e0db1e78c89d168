"""A process that logs numbered points and says on its standard output, after each call, which number was accepted.

    python numbered.py URI [FIRST [COUNT]]

A point's value follows from its number, so that what is stored can be judged without having kept it.
"""

from __future__ import annotations

import os
import sys

import runlore


def value_of(number: int) -> float:
    """The value of a point."""
    return float(number * 2_654_435_761 % 1_000_003)


def main() -> None:
    """Log until killed, or `COUNT` points."""
    uri, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    client = runlore.RunloreClient(uri)
    run_id = os.environ.get("NUMBERED_RUN") or client.create_run("0").info.run_id
    os.write(1, f"{run_id}\n".encode())
    for number in range(first, first + count):
        client.log_metrics(run_id, {"value": value_of(number), "other": -value_of(number)}, step=number, timestamp=number)
        if number % 50 == 0:
            client.set_tag(run_id, "last", number)
            client.log_param(run_id, f"p{number}", number)
        os.write(1, b"%d\n" % number)


if __name__ == "__main__":
    main()
