"""What to tell someone whose filter no run satisfies: that no run has one of its keys, and which keys are like it."""

from __future__ import annotations

from difflib import get_close_matches

from runlore.query import Expression
from runlore.store.sql.database import Transaction
from runlore.store.sql.run_conditions import fields_of

MOST_KEYS = 1_000
"""Keys that are looked at for likeness."""
_TABLES = {"metric": "metric", "param": "param", "tag": "run_tag"}


def suggestion(db: Transaction, tree: Expression) -> str | None:
    """A sentence about the first key that no run has, or None. Costs an index look-up for each key, then one for each key of
    the store."""
    for field in dict.fromkeys(comparison.field for comparison in fields_of(tree)):
        table = _TABLES.get(field.kind)
        if table is None or db.one(f"SELECT 1 FROM {table} WHERE key = ? LIMIT 1", (field.key,)):
            continue
        close = get_close_matches(field.key, _keys(db, table), n=3, cutoff=0.6)
        hint = f" Did you mean {' or '.join(f'{field.kind}s.{key}' for key in close)}?" if close else ""
        return f"No run has {field.kind}s.{field.key}.{hint}"
    return None


def _keys(db: Transaction, table: str) -> list[str]:
    """The first keys of a table, each found by one look-up in its index."""
    rows = db.all(
        f"WITH RECURSIVE known (key) AS (SELECT MIN(key) FROM {table} UNION ALL "
        f"SELECT (SELECT MIN(x.key) FROM {table} x WHERE x.key > known.key) FROM known WHERE known.key IS NOT NULL) "
        f"SELECT key FROM known WHERE key IS NOT NULL LIMIT {MOST_KEYS}"
    )
    return [key for (key,) in rows]
