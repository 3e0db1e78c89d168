"""Pictures that autologging draws. Without matplotlib there are none."""

from __future__ import annotations

from typing import Any

FEATURES = 40
"""Bars of one picture. The file beside it holds the importance of all features."""


def importance_figure(scores: dict[str, Any], kind: str) -> Any:
    """Bars of the most important features; scores of several classes are summed by their size. None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return None
    sizes = {name: sum(map(abs, score)) if isinstance(score, list) else float(score) for name, score in scores.items()}
    if not sizes:
        return None
    ranked = sorted(sizes, key=lambda name: abs(sizes[name]))[-FEATURES:]
    figure = Figure(figsize=(7, 1.2 + 0.25 * len(ranked)), layout="constrained")
    axes = figure.subplots()
    axes.barh([str(name) for name in ranked], [sizes[name] for name in ranked])
    axes.set_xlabel(f"Importance ({kind})")
    axes.set_title(
        "Feature importance" if len(ranked) == len(sizes) else f"The {len(ranked)} of {len(sizes)} features that matter most"
    )
    return figure
