"""Runlore: experiment tracking for machine learning, with MLflow's names.

Names are imported when they are first used: `import runlore` costs milliseconds and brings no third-party package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runlore.version import __version__

if TYPE_CHECKING:
    from runlore import (
        artifacts,
        catboost,
        client,
        config,
        data,
        deployments,
        entities,
        evaluation,
        exceptions,
        h2o,
        keras,
        lightgbm,
        metrics,
        models,
        onnx,
        pmdarima,
        projects,
        prophet,
        pyfunc,
        pytorch,
        sentence_transformers,
        shap,
        sklearn,
        spacy,
        spark,
        statsmodels,
        system_metrics,
        tensorflow,
        tracking,
        transformers,
        types,
        xgboost,
    )
    from runlore.client import (
        Image,
        MlflowClient,
        RunloreClient,
        get_registry_uri,
        get_tracking_uri,
        is_tracking_uri_set,
        set_registry_uri,
        set_tracking_uri,
    )
    from runlore.evaluation import evaluate, validate_evaluation_results
    from runlore.exceptions import MlflowException, RunloreError
    from runlore.fluent.artifacts import (
        flush_artifact_async_logging,
        get_artifact_uri,
        load_table,
        log_artifact,
        log_artifacts,
        log_audio,
        log_dict,
        log_figure,
        log_histogram,
        log_image,
        log_stream,
        log_table,
        log_text,
        log_video,
    )
    from runlore.fluent.compare import compare_runs
    from runlore.fluent.difference import diff_runs
    from runlore.fluent.doctor import doctor
    from runlore.fluent.experiments import (
        create_experiment,
        delete_experiment,
        delete_experiment_tag,
        get_experiment,
        get_experiment_by_name,
        restore_experiment,
        search_experiments,
        set_experiment,
        set_experiment_tag,
        set_experiment_tags,
    )
    from runlore.fluent.logged_models import (
        ActiveModel,
        clear_active_model,
        create_external_model,
        delete_logged_model_tag,
        finalize_logged_model,
        get_active_model_id,
        get_logged_model,
        initialize_logged_model,
        last_logged_model,
        log_model_params,
        search_logged_models,
        set_active_model,
        set_logged_model_tags,
    )
    from runlore.fluent.logging import (
        delete_tag,
        flush_async_logging,
        log_input,
        log_inputs,
        log_metric,
        log_metrics,
        log_outputs,
        log_param,
        log_params,
        set_tag,
        set_tags,
    )
    from runlore.fluent.registry import (
        register_model,
        search_model_versions,
        search_registered_models,
        set_model_version_tag,
    )
    from runlore.fluent.runs import (
        ActiveRun,
        active_run,
        delete_run,
        end_run,
        get_parent_run,
        get_run,
        last_active_run,
        restore_run,
        start_run,
    )
    from runlore.fluent.search import search_runs
    from runlore.fluent.series import query_series
    from runlore.frameworks import autolog
    from runlore.mlflow_alias import install_as_mlflow
    from runlore.models.checkpoints import import_checkpoints
    from runlore.projects import run
    from runlore.system_metrics import (
        disable_system_metrics_logging,
        enable_system_metrics_logging,
        set_system_metrics_node_id,
        set_system_metrics_samples_before_logging,
        set_system_metrics_sampling_interval,
    )

_SUBMODULES = (
    "artifacts", "catboost", "client", "config", "data", "deployments", "entities", "evaluation", "exceptions", "h2o",
    "keras", "lightgbm", "metrics", "models", "onnx", "pmdarima", "projects", "prophet", "pyfunc", "pytorch",
    "sentence_transformers", "shap", "sklearn", "spacy", "spark", "statsmodels", "system_metrics", "tensorflow",
    "tracking", "transformers", "types", "xgboost",
)  # fmt: skip

_NAMES = {
    "client": """
        Image MlflowClient RunloreClient get_registry_uri get_tracking_uri is_tracking_uri_set set_registry_uri
        set_tracking_uri""",
    "evaluation": "evaluate validate_evaluation_results",
    "exceptions": "MlflowException RunloreError",
    "fluent.artifacts": """
        flush_artifact_async_logging get_artifact_uri load_table log_artifact log_artifacts log_audio log_dict log_figure
        log_histogram log_image log_stream log_table log_text log_video""",
    "models.checkpoints": "import_checkpoints",
    "fluent.compare": "compare_runs",
    "fluent.difference": "diff_runs",
    "fluent.doctor": "doctor",
    "fluent.experiments": """
        create_experiment delete_experiment delete_experiment_tag get_experiment get_experiment_by_name restore_experiment
        search_experiments set_experiment set_experiment_tag set_experiment_tags""",
    "fluent.logged_models": """
        ActiveModel clear_active_model create_external_model delete_logged_model_tag finalize_logged_model
        get_active_model_id get_logged_model initialize_logged_model last_logged_model log_model_params
        search_logged_models set_active_model set_logged_model_tags""",
    "fluent.logging": """
        delete_tag flush_async_logging log_input log_inputs log_metric log_metrics log_outputs log_param log_params set_tag
        set_tags""",
    "fluent.registry": "register_model search_model_versions search_registered_models set_model_version_tag",
    "fluent.runs": """
        ActiveRun active_run delete_run end_run get_parent_run get_run last_active_run restore_run start_run""",
    "fluent.search": "search_runs",
    "frameworks": "autolog",
    "fluent.series": "query_series",
    "mlflow_alias": "install_as_mlflow",
    "projects": "run",
    "system_metrics": """
        disable_system_metrics_logging enable_system_metrics_logging set_system_metrics_node_id
        set_system_metrics_samples_before_logging set_system_metrics_sampling_interval""",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ActiveModel",
    "ActiveRun",
    "Image",
    "MlflowClient",
    "MlflowException",
    "RunloreClient",
    "RunloreError",
    "__version__",
    "active_run",
    "artifacts",
    "autolog",
    "catboost",
    "clear_active_model",
    "client",
    "compare_runs",
    "config",
    "create_experiment",
    "create_external_model",
    "data",
    "delete_experiment",
    "delete_experiment_tag",
    "delete_logged_model_tag",
    "delete_run",
    "delete_tag",
    "deployments",
    "diff_runs",
    "disable_system_metrics_logging",
    "doctor",
    "enable_system_metrics_logging",
    "end_run",
    "entities",
    "evaluate",
    "evaluation",
    "exceptions",
    "finalize_logged_model",
    "flush_artifact_async_logging",
    "flush_async_logging",
    "get_active_model_id",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_logged_model",
    "get_parent_run",
    "get_registry_uri",
    "get_run",
    "get_tracking_uri",
    "h2o",
    "import_checkpoints",
    "initialize_logged_model",
    "install_as_mlflow",
    "is_tracking_uri_set",
    "keras",
    "last_active_run",
    "last_logged_model",
    "lightgbm",
    "load_table",
    "log_artifact",
    "log_artifacts",
    "log_audio",
    "log_dict",
    "log_figure",
    "log_histogram",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_model_params",
    "log_outputs",
    "log_param",
    "log_params",
    "log_stream",
    "log_table",
    "log_text",
    "log_video",
    "metrics",
    "models",
    "onnx",
    "pmdarima",
    "projects",
    "prophet",
    "pyfunc",
    "pytorch",
    "query_series",
    "register_model",
    "restore_experiment",
    "restore_run",
    "run",
    "search_experiments",
    "search_logged_models",
    "search_model_versions",
    "search_registered_models",
    "search_runs",
    "sentence_transformers",
    "set_active_model",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_logged_model_tags",
    "set_model_version_tag",
    "set_registry_uri",
    "set_system_metrics_node_id",
    "set_system_metrics_samples_before_logging",
    "set_system_metrics_sampling_interval",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "shap",
    "sklearn",
    "spacy",
    "spark",
    "start_run",
    "statsmodels",
    "system_metrics",
    "tensorflow",
    "tracking",
    "transformers",
    "types",
    "validate_evaluation_results",
    "xgboost",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"runlore.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return import_module(f"runlore.{name}")
    raise AttributeError(f"module 'runlore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
