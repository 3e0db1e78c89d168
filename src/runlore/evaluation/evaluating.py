"""`evaluate`: predictions are made, measured, drawn and logged to the active run."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runlore.entities import LoggedModelInput
from runlore.evaluation.artifacts import EvaluationArtifact, artifact_from
from runlore.evaluation.classifier import ClassifierOptions, evaluate_classifier
from runlore.evaluation.data import EvaluationData, read_data
from runlore.evaluation.explanations import explain
from runlore.evaluation.findings import Findings
from runlore.evaluation.metrics import EvaluationMetric, Measured, MetricValue, columns_of, names_of
from runlore.evaluation.models import Candidate, split_answer
from runlore.evaluation.regressor import evaluate_regressor
from runlore.evaluation.result import TABLE, EvaluationResult
from runlore.exceptions import InvalidParameter
from runlore.fluent import context
from runlore.fluent.artifacts import get_artifact_uri, log_artifact, log_table
from runlore.fluent.logging import log_input, log_metrics
from runlore.fluent.runs import start_run

_log = logging.getLogger("runlore")

EVALUATORS = ("default", "classifier", "regressor", "shap")
_OF_LANGUAGE_MODELS = ("question-answering", "text-summarization", "text", "retriever", "databricks-agent")
_OPTIONS = {
    "log_model_explainability", "explainability_algorithm", "explainability_nsamples", "explainability_kernel_link",
    "max_classes_for_multiclass_roc_pr", "metric_prefix", "log_metrics_with_dataset_info", "pos_label", "average",
    "sample_weights", "col_mapping", "label_list", "log_explainer", "default_prefix", "retriever_k",
}  # fmt: skip


def list_evaluators() -> list[str]:
    """The names that `evaluate(evaluators=…)` knows. "default" is all of them."""
    return list(EVALUATORS)


def evaluate(
    model: Any = None,
    data: Any = None,
    *,
    model_type: str | None = None,
    targets: Any = None,
    predictions: str | None = None,
    dataset_path: str | None = None,
    feature_names: list[str] | None = None,
    evaluators: str | list[str] | None = None,
    evaluator_config: dict[str, Any] | None = None,
    extra_metrics: list[EvaluationMetric] | None = None,
    custom_artifacts: list[Callable[..., dict[str, Any]]] | None = None,
    env_manager: str = "local",
    model_config: dict[str, Any] | None = None,
    inference_params: dict[str, Any] | None = None,
    model_id: str | None = None,
) -> EvaluationResult:
    """Measure a model on data and log what is found to the active run (without one, to a new run that ends with the call).

    * `model` is a URI, what `pyfunc.load_model` answered, or a function of a table of features. Without a model, the column
      `predictions` of the data has its answers. With one whose answer is a table, `predictions` names a column of that.
    * `model_type` is "classifier", "regressor", or None: then only `extra_metrics` are measured.
    * `targets` names the column with the truth; beside an array of features it is an array.
    * `extra_metrics` come from `make_metric`; `custom_artifacts` are functions `(eval_df, builtin_metrics, artifacts_dir)` that
      answer files or values by name.
    * `evaluator_config`: `sample_weights`, `pos_label`, `label_list`, `average` ("weighted"), `metric_prefix`, `col_mapping`,
      `max_classes_for_multiclass_roc_pr` (10), `log_model_explainability` (True: explanations, if `shap` is installed),
      `log_metrics_with_dataset_info` (True: the metrics know their dataset).
    * `model_id` links the metrics to a logged model where `model` is none.

    Classifiers get accuracy, precision, recall, F1, confusion matrix and, where the model gives probabilities, log loss, ROC,
    precision-recall, lift and calibration; more than two classes, a table by class. Regressors get MAE, MSE, RMSE, R² and more.
    """
    config = _config(model_type, evaluators, evaluator_config)
    if env_manager not in ("local", None):
        raise InvalidParameter(
            f"Models are evaluated in this environment, not in one of env_manager={env_manager!r}: run the script in one "
            "with the model's requirements (pyfunc.get_model_dependencies names them)."
        )
    candidate = None if model is None else Candidate(model, model_config, inference_params)
    read = read_data(data, targets, predictions, feature_names, dataset_path, candidate is not None)
    if candidate is None and read.predictions is None:
        raise InvalidParameter("Nothing to evaluate: give a model, or the column of the data that has its `predictions`.")
    if read.targets is None and model_type is not None:
        raise InvalidParameter(f"A {model_type} is measured against the truth: give `targets`.")
    if model_type is None and not extra_metrics:
        raise InvalidParameter("Without a model_type, only extra_metrics are measured: give some, made by make_metric.")
    evaluation = _Evaluation(candidate, read, model_type, config, model_id or (candidate.model_id if candidate else None))
    with _run() as run_id:
        return evaluation.run(run_id, predictions, extra_metrics or [], custom_artifacts or [])


def _config(model_type: str | None, evaluators: Any, given: dict[str, Any] | None) -> dict[str, Any]:
    """The options, of however many evaluators the caller speaks. Raises `InvalidParameter` for what there is not."""
    if model_type in _OF_LANGUAGE_MODELS:
        raise InvalidParameter(
            f"model_type={model_type!r} is for language models, which Runlore does not evaluate. Measure what matters with "
            "model_type=None and extra_metrics=[make_metric(eval_fn=…)]."
        )
    if model_type not in (None, "classifier", "regressor"):
        raise InvalidParameter(f"Unknown model_type {model_type!r}. Expected 'classifier', 'regressor' or None.")
    names = [evaluators] if isinstance(evaluators, str) else evaluators
    if unknown := [name for name in names or () if name not in EVALUATORS]:
        raise InvalidParameter(f"Unknown evaluators {unknown}. Known: {list(EVALUATORS)}.")
    if names and not {"default", model_type or "default"} & set(names):
        raise InvalidParameter(f"The evaluators {names} can not evaluate a model of type {model_type!r}.")
    config = dict(given or {})
    if set(config) & set(EVALUATORS):
        config = {name: value for part in config.values() for name, value in part.items()}
    if unknown_options := sorted(set(config) - _OPTIONS):
        raise InvalidParameter(f"Unknown options {unknown_options} in evaluator_config. Known: {sorted(_OPTIONS)}.")
    return config


@contextlib.contextmanager
def _run() -> Iterator[str]:
    """The active run, or a new one for the time of the evaluation."""
    if context.stack():
        yield context.stack()[-1].run_id
        return
    with start_run() as run:
        yield run.info.run_id


class _Evaluation:
    """One evaluation from prediction to log."""

    def __init__(
        self,
        candidate: Candidate | None,
        data: EvaluationData,
        model_type: str | None,
        config: dict[str, Any],
        model_id: str | None,
    ) -> None:
        self.candidate = candidate
        self.data = data
        self.model_type = model_type
        self.config = config
        self.model_id = model_id
        self.prefix = config.get("metric_prefix") or ""
        self.artifacts: dict[str, EvaluationArtifact] = {}

    def run(self, run_id: str, column: str | None, extra: list[EvaluationMetric], custom: list[Any]) -> EvaluationResult:
        """Predict, measure, log."""
        predicted, outputs = self.data.predictions, None
        if self.candidate is not None:
            predicted, outputs = split_answer(self.candidate.predict(self.data.features), column)
        if len(predicted) != len(self.data.features):
            raise InvalidParameter(f"There are {len(self.data.features)} rows of data and {len(predicted)} predictions.")
        findings = self._findings(predicted)
        measured = Measured(
            predicted, self.data.targets, self.data.table, outputs, findings.metrics, self.config.get("col_mapping") or {}
        )
        scores = self._extra(extra, measured, findings)
        self._log_input()
        metrics = {f"{self.prefix}{name}": value for name, value in findings.metrics.items()}
        self._log_metrics(metrics)
        with tempfile.TemporaryDirectory(prefix="runlore-evaluation-") as place:
            self._log_files(findings, Path(place))
            self._log_custom(custom, measured, Path(place))
        if scores:
            self._log_scores(scores, predicted, column)
        return EvaluationResult(metrics, self.artifacts, run_id)

    def _findings(self, predicted: Any) -> Findings:
        if self.model_type is None:
            return Findings()
        weights, targets, features = self.config.get("sample_weights"), self.data.targets, self.data.features
        if self.model_type == "regressor":
            findings = evaluate_regressor(targets, predicted, weights)
        else:
            probabilities = self.candidate.probabilities(features) if self.candidate else None
            if getattr(predicted, "ndim", 1) != 1:
                raise InvalidParameter(
                    f"A classifier answers one label for each row, got an array of the shape {predicted.shape}. Evaluate the "
                    "function that answers labels."
                )
            options = ClassifierOptions(
                self.config.get("pos_label"),
                self.config.get("label_list"),
                self.config.get("average") or "weighted",
                self.config.get("max_classes_for_multiclass_roc_pr", 10),
            )
            findings = evaluate_classifier(targets, predicted, probabilities, weights, options)
        if self.candidate and (score := self.candidate.score(features, targets, weights)) is not None:
            findings.metrics = {"score": score, **findings.metrics}
        if self.candidate and self.config.get("log_model_explainability", True):
            findings.figures |= explain(self.candidate, features, self.config)
        return findings

    def _extra(self, extra: list[EvaluationMetric], measured: Measured, findings: Findings) -> dict[str, Any]:
        """The users' metrics, added to what was found; answers the columns of scores."""
        before = {name: MetricValue(aggregate_results={name: value}) for name, value in findings.metrics.items()}
        columns: dict[str, Any] = {}
        for metric in extra:
            if not isinstance(metric, EvaluationMetric):
                raise InvalidParameter(f"extra_metrics are made by make_metric, got {type(metric).__name__}: {metric!r:.100}.")
            value = measured.call(metric, before)
            if value is None:
                continue
            before[metric.name] = value
            findings.metrics |= names_of(metric, value)
            columns |= columns_of(metric, value)
        return columns

    # -- logging ----

    def _log_input(self) -> None:
        model = LoggedModelInput(model_id=self.model_id) if self.model_id else None
        log_input(self.data.dataset, context=self.prefix or None, model=model)

    def _log_metrics(self, metrics: dict[str, Any]) -> None:
        dataset = self.data.dataset if self.config.get("log_metrics_with_dataset_info", True) else None
        plain = {name: float(value) for name, value in metrics.items()}
        if plain:
            log_metrics(plain, dataset=dataset, model_id=self.model_id)

    def _log_files(self, findings: Findings, place: Path) -> None:
        for name, value in {**findings.figures, **findings.values}.items():
            if value is not None:
                self._log_value(name, value, place)

    def _log_value(self, name: str, value: Any, place: Path) -> None:
        artifact, extension = artifact_from(name, value)
        file = place / f"{self.prefix}{name}{extension}"
        artifact.save(file)
        log_artifact(file)
        artifact._uri = get_artifact_uri(file.name)
        self.artifacts[name] = artifact

    def _log_custom(self, custom: list[Any], measured: Measured, place: Path) -> None:
        for number, function in enumerate(custom):
            own = place / f"custom-{number}"
            own.mkdir()
            answer = function(measured.table(), dict(measured.builtin), str(own))
            if not isinstance(answer, dict):
                raise InvalidParameter(
                    f"A function of custom_artifacts answers files or values by name, got {type(answer).__name__} from "
                    f"{getattr(function, '__name__', function)!r}."
                )
            for name, value in answer.items():
                self._log_value(str(name), value, place)

    def _log_scores(self, scores: dict[str, Any], predicted: Any, column: str | None) -> None:
        table = self.data.table.reset_index(drop=True)
        table[self.data.predictions_name or column or "outputs"] = predicted
        for name, values in scores.items():
            table[name] = values
        file = f"{self.prefix}{TABLE}.json"
        log_table(table, file)
        uri = get_artifact_uri(file)
        self.artifacts[TABLE], _ = artifact_from(TABLE, table.to_json(orient="split", index=False, double_precision=15))
        self.artifacts[TABLE]._uri = uri
