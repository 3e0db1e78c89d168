"""The nouns of experiment tracking: what the store answers, what goes over the wire, what users hold.

Each Struct has MLflow's field names on the wire. Where MLflow's Python objects show a mapping and its wire shows a list
(`run.data.params`), the Struct stores the list and a property shows the mapping. Times are Unix milliseconds.
Fields that are `None` or equal to their default are left out of JSON, as MLflow leaves unset fields out.
"""

from runlore.entities.experiment import Experiment, ExperimentTag
from runlore.entities.logged_model import (
    LoggedModel,
    LoggedModelData,
    LoggedModelInfo,
    LoggedModelParameter,
    LoggedModelRegistration,
    LoggedModelStatus,
    LoggedModelTag,
)
from runlore.entities.registry import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelAlias, RegisteredModelTag
from runlore.entities.run import (
    Dataset,
    DatasetInput,
    FileInfo,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunTag,
)
from runlore.entities.value import Empty, Entity, Value, ValueMeta
from runlore.entities.webhook import (
    Webhook,
    WebhookAction,
    WebhookDelivery,
    WebhookEntity,
    WebhookEvent,
    WebhookState,
    WebhookStatus,
    WebhookTestResult,
)
from runlore.entities.words import LifecycleStage, RunStatus, SourceType, ViewType

__all__ = [
    "Dataset",
    "DatasetInput",
    "Empty",
    "Entity",
    "Experiment",
    "ExperimentTag",
    "FileInfo",
    "InputTag",
    "LifecycleStage",
    "LoggedModel",
    "LoggedModelData",
    "LoggedModelInfo",
    "LoggedModelInput",
    "LoggedModelOutput",
    "LoggedModelParameter",
    "LoggedModelRegistration",
    "LoggedModelStatus",
    "LoggedModelTag",
    "Metric",
    "ModelVersion",
    "ModelVersionTag",
    "Param",
    "RegisteredModel",
    "RegisteredModelAlias",
    "RegisteredModelTag",
    "Run",
    "RunData",
    "RunInfo",
    "RunInputs",
    "RunOutputs",
    "RunStatus",
    "RunTag",
    "SourceType",
    "Value",
    "ValueMeta",
    "ViewType",
    "Webhook",
    "WebhookAction",
    "WebhookDelivery",
    "WebhookEntity",
    "WebhookEvent",
    "WebhookState",
    "WebhookStatus",
    "WebhookTestResult",
]
