"""Size limits. Over a limit means that a noun is missing: find it instead of raising the limit."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE_LINES, FUNCTION_LINES, PUBLIC_METHODS, PARAMETERS = 400, 50, 20, 6

# MLflow-compatible surfaces: their signatures and the number of their methods are MLflow's.
MLFLOW_SHAPED = (
    "client/",
    "fluent/",
    "frameworks.py",
    "sklearn.py",
    "pyfunc/",
    "artifacts.py",
    "data/",
    "models/",
    "projects/",
    "evaluation/",
    "serving/docker.py",
    "serving/files.py",
    "xgboost.py",
    "lightgbm.py",
    "catboost.py",
    "statsmodels.py",
    "onnx.py",
    "prophet.py",
    "pmdarima.py",
    "shap.py",
    "h2o.py",
    "pytorch.py",
    "keras.py",
    "transformers.py",
    "sentence_transformers.py",
    "spacy.py",
    "tensorflow.py",
    "spark.py",
)


def python_files() -> list[Path]:
    return sorted((ROOT / "src/runlore").rglob("*.py"))


def test_files_stay_below_400_lines() -> None:
    sources = [*python_files(), *(ROOT / "ui/src").rglob("*.ts"), *(ROOT / "ui/src").rglob("*.tsx")]
    generated = {ROOT / "ui/src/api/schema.d.ts"}
    long = {
        str(p.relative_to(ROOT)): n
        for p in sources
        if p not in generated and (n := len(p.read_text().splitlines())) > FILE_LINES
    }
    assert not long


def test_functions_and_classes_stay_small() -> None:
    problems = []
    for path in python_files():
        shaped = str(path.relative_to(ROOT / "src/runlore")).startswith(MLFLOW_SHAPED)
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                problems += _function_problems(node, where, shaped)
            elif isinstance(node, ast.ClassDef) and not shaped:
                public = [item for item in node.body if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")]
                if len(public) > PUBLIC_METHODS:
                    problems.append(f"{where} {node.name}: {len(public)} public methods")
    assert not problems, "\n".join(problems)


def _function_problems(node: ast.FunctionDef | ast.AsyncFunctionDef, where: str, shaped: bool) -> list[str]:
    problems = []
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = (first.end_lineno or first.lineno) if documented else node.lineno
    lines = (node.end_lineno or start) - start
    if lines > FUNCTION_LINES:
        problems.append(f"{where} {node.name}: {lines} lines below its docstring")
    arguments = [a for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg not in ("self", "cls")]
    decorated = any("click" in ast.unparse(item) or "command" in ast.unparse(item) for item in node.decorator_list)
    if len(arguments) > PARAMETERS and not shaped and not decorated:
        problems.append(f"{where} {node.name}: {len(arguments)} parameters")
    return problems
