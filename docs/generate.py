"""Writes `docs/reference/`: what the code says about itself, in Markdown.

    python docs/generate.py        # `make reference`

`tests/test_exports.py` fails when these files are not what this program would write.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

REFERENCE = Path(__file__).parent / "reference"
MODULES = (
    "runlore", "runlore.artifacts", "runlore.catboost", "runlore.config", "runlore.data", "runlore.deployments",
    "runlore.evaluation", "runlore.exceptions", "runlore.h2o", "runlore.keras", "runlore.lightgbm", "runlore.metrics",
    "runlore.models", "runlore.onnx", "runlore.pmdarima", "runlore.projects", "runlore.prophet", "runlore.pyfunc",
    "runlore.pytorch", "runlore.sentence_transformers", "runlore.shap", "runlore.sklearn", "runlore.spacy",
    "runlore.spark", "runlore.statsmodels", "runlore.system_metrics", "runlore.tensorflow", "runlore.transformers",
    "runlore.types", "runlore.xgboost",
)  # fmt: skip
"""Public modules with names of their own. `runlore.client`, `entities` and `tracking` are described through `runlore`."""
_NOTE = "<!-- Written by docs/generate.py from the code. -->\n"


def pages() -> dict[str, str]:
    """The text of each file, by name."""
    return {"python.md": python_page(), "cli.md": cli_page(), "rest.md": rest_page()}


# -- Python ------------------------------------------------------------------------------------------------------------


def public_names(module_name: str) -> list[str]:
    """The names that a module offers: `__all__`, else what is defined in it without a leading underscore."""
    module = import_module(module_name)
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module_name
    )


def python_page() -> str:
    """Every public function and class with its signature and docstring; the client with all its methods."""
    parts = [_NOTE, "# Python\n"]
    for module_name in MODULES:
        module = import_module(module_name)
        parts += [f"## {module_name}\n", f"{inspect.getdoc(module)}\n"]
        names = public_names(module_name)
        for name in names:
            value = getattr(module, name)
            if not inspect.ismodule(value) and callable(value):
                parts += _python_entry(name, value, names)
    return "\n".join(parts)


def _python_entry(name: str, value: Any, siblings: list[str]) -> list[str]:
    """A name and, of a class, the methods that it does not have from another class on the page."""
    if inspect.isclass(value) and value.__name__ != name:
        return [f"### {name}\n", f"The same as `{value.__name__}`.\n"]
    parts = [f"### {name}\n", _code(name, value), f"{inspect.getdoc(value)}\n"]
    for method, what in inspect.getmembers(value, inspect.isroutine) if inspect.isclass(value) else ():
        inherited = any(base.__name__ in siblings and hasattr(base, method) for base in value.__mro__[1:])
        if not method.startswith("_") and not inherited and str(getattr(what, "__module__", "")).startswith("runlore."):
            parts += [f"#### {name}.{method}\n", _code(f"{name}.{method}", what), f"{inspect.getdoc(what)}\n"]
    return parts


def _code(name: str, value: Any) -> str:
    """The signature: on one line, or on one for each parameter."""
    signature = inspect.signature(value)
    texts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(text.startswith("*") for text in texts):
            texts.append("*")
        texts.append(str(parameter.replace(annotation=_bare(parameter.annotation))))
    texts = texts[1:] if texts[:1] == ["self"] else texts
    answer = "" if signature.return_annotation in (signature.empty, "None", None) else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(texts)}){answer}"
    if len(line) > 100:
        line = f"{name}(\n    " + ",\n    ".join(texts) + f",\n){answer}"
    return f"```python\n{line}\n```\n"


class _Bare(str):
    """An annotation that is shown as it was written, without quotes."""

    __repr__ = str.__str__


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


# -- command line ------------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """The help text of every command."""
    from runlore.cli.main import COMMANDS, group

    parts = [_NOTE, "# Command line\n"]
    context = group.make_context("runlore", [], resilient_parsing=True, terminal_width=100)
    parts.append(_help(group, context))
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        inner = command.make_context(name, [], context, resilient_parsing=True)
        parts += [f"## runlore {name}\n", _help(command, inner)]
        for below, part in getattr(command, "commands", {}).items():
            place = part.make_context(below, [], inner, resilient_parsing=True)
            parts += [f"### runlore {name} {below}\n", _help(part, place)]
    return "\n".join(parts)


def _help(command: click.Command, context: click.Context) -> str:
    lines = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    return f"```text\n{lines}\n```\n"


# -- REST --------------------------------------------------------------------------------------------------------------


def rest_page() -> str:
    """A table of endpoints for each noun; what they take and answer in detail is in the OpenAPI document."""
    from runlore.api.openapi import document

    api = document()
    parts = [_NOTE, "# REST\n", f"{api['info']['description']}\n"]
    parts.append(
        "A running server describes fields and replies at `/api/docs`, and for programs at `/api/openapi.json`. Fields that "
        "must be given are in bold.\n"
    )
    for tag in api["tags"]:
        parts += [f"## {tag['name'].capitalize()}\n", "| Endpoint | Needs | Fields | |", "|---|---|---|---|"]
        for path, methods in api["paths"].items():
            parts += [_row(api, method, path, item) for method, item in methods.items() if tag["name"] in item["tags"]]
        parts.append("")
    return "\n".join(parts)


def _row(api: dict[str, Any], method: str, path: str, item: dict[str, Any]) -> str:
    right = item["x-right"]
    needs = right["right"] + (f" ({right['kind'].replace('_', ' ')})" if "field" in right else "")
    fields = ", ".join(f"**{name}**" if required else name for name, required in _fields(api, item))
    return f"| `{method.upper()} {path}` | {needs} | {fields} | {item['summary']} |"


def _fields(api: dict[str, Any], item: dict[str, Any]) -> list[tuple[str, bool]]:
    found = {parameter["name"]: parameter["required"] for parameter in item.get("parameters", [])}
    for content in item.get("requestBody", {}).get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        schema = api["components"]["schemas"].get(name, {})
        found |= {field: field in schema.get("required", ()) for field in schema.get("properties", {}) if field not in found}
    return sorted(found.items(), key=lambda pair: not pair[1])


def main() -> None:
    """Write the files."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
