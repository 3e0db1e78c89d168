"""The filter language: text in, tree out. Pure: no files, sockets or SQL.

`parse_filter` and `parse_order` read MLflow's grammar for each searchable kind (`fields.RUNS`, `EXPERIMENTS`, …) and Runlore's
own, wider one for the runs table (`fields.RUN_TABLE`: OR, NOT, parentheses, metric aggregates, units, regular expressions, …).
`store/sql/search.py` turns the tree into SQL.
"""

from runlore.query.ast import And, ChildOf, Comparison, Expression, Field, HasChild, Not, Or, Order, ParentMatches
from runlore.query.fields import EXPERIMENTS, LOGGED_MODELS, MODEL_VERSIONS, REGISTERED_MODELS, RUN_TABLE, RUNS, Subject
from runlore.query.names import NOTE_TAG
from runlore.query.parser import parse_column, parse_filter, parse_order

__all__ = [
    "EXPERIMENTS",
    "LOGGED_MODELS",
    "MODEL_VERSIONS",
    "NOTE_TAG",
    "REGISTERED_MODELS",
    "RUNS",
    "RUN_TABLE",
    "And",
    "ChildOf",
    "Comparison",
    "Expression",
    "Field",
    "HasChild",
    "Not",
    "Or",
    "Order",
    "ParentMatches",
    "Subject",
    "parse_column",
    "parse_filter",
    "parse_order",
]
