"""Models of language: Transformers, Sentence Transformers, spaCy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tests.frameworks.deep import tiny

import runlore
import runlore.pyfunc
import runlore.sentence_transformers
import runlore.spacy
import runlore.transformers
from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models import get_model_info

TEXTS = ["a good film", "bad"]


def from_elsewhere(path: Path) -> Path:
    """The same model without the seal of this installation."""
    (path / "runlore-manifest.json").unlink()
    return path


def test_a_classifier_answers_as_a_table() -> None:
    pipeline = tiny.pipeline("text-classification")
    with runlore.start_run() as run:
        info = runlore.transformers.log_model(pipeline, name="films", input_example=TEXTS, registered_model_name="films")
    expected = pd.DataFrame(pipeline(TEXTS))
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/films", "models:/films/1"):
        found = runlore.pyfunc.load_model(uri).predict(TEXTS)
        assert list(found["label"]) == list(expected["label"])
        assert np.allclose(found["score"], expected["score"])
    assert runlore.transformers.load_model(info.model_uri)("good")[0]["label"] in ("good", "bad")
    assert str(info.signature.outputs) == "['label': string (required), 'score': double (required)]"
    flavor = get_model_info(info.model_uri).flavors["transformers"]
    assert {key: flavor[key] for key in ("task", "instance_type", "pipeline_model_type", "components", "model_binary")} == {
        "task": "text-classification",
        "instance_type": "TextClassificationPipeline",
        "pipeline_model_type": "DistilBertForSequenceClassification",
        "components": ["tokenizer"],
        "model_binary": "model",
    }


def test_other_tasks_answer_as_mlflow_says(tmp_path: Path) -> None:
    found = {}
    for task, data in {
        "fill-mask": ["a [MASK] film"],
        "feature-extraction": ["a good film"],
        "token-classification": ["good film"],
        "text-generation": ["a good"],
        "zero-shot-classification": pd.DataFrame({"sequences": ["a film"], "candidate_labels": [["good", "bad"]]}),
    }.items():
        runlore.transformers.save_model(
            tiny.pipeline(task), tmp_path / task, model_config={"max_new_tokens": 3} if "gen" in task else None
        )
        found[task] = runlore.pyfunc.load_model(tmp_path / task).predict(data)
    assert found["fill-mask"][0] in tiny.WORDS
    assert found["feature-extraction"].shape == (5, 16)  # of three words and the two around them
    assert len(found["token-classification"][0].split(",")) == 2
    assert found["text-generation"][0].startswith("a good")
    assert sorted(found["zero-shot-classification"]["labels"]) == ["bad", "good"]


def test_components_by_name_and_prompts(tmp_path: Path) -> None:
    pipeline = tiny.pipeline("text-generation")
    parts = {"model": pipeline.model, "tokenizer": pipeline.tokenizer}
    runlore.transformers.save_model(parts, tmp_path / "m", task="text-generation", prompt_template="very {prompt}")
    assert runlore.pyfunc.load_model(tmp_path / "m").predict("good", params={"max_new_tokens": 2})[0].startswith("very good")
    loaded = runlore.transformers.load_model(tmp_path / "m", return_type="components")
    assert (loaded["task"], type(loaded["model"]).__name__) == ("text-generation", "GPT2LMHeadModel")
    with pytest.raises(InvalidParameter, match="task"):
        runlore.transformers.save_model(parts, tmp_path / "n")
    with pytest.raises(InvalidParameter, match="save_pretrained"):
        runlore.transformers.save_model(pipeline, tmp_path / "o", save_pretrained=False)
    with pytest.raises(InvalidParameter, match="once"):
        runlore.transformers.save_model(pipeline, tmp_path / "p", prompt_template="none")


def test_weights_of_others_are_safetensors_or_need_consent(tmp_path: Path) -> None:
    pipeline = tiny.pipeline("text-classification")
    runlore.transformers.save_model(pipeline, tmp_path / "m")
    place = from_elsewhere(tmp_path / "m")
    assert runlore.transformers.load_model(place)("good") == pipeline("good")
    torch.save(pipeline.model.state_dict(), place / "model" / "pytorch_model.bin")
    (place / "model" / "model.safetensors").unlink()
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.transformers.load_model(place)
    assert runlore.transformers.load_model(place, allow_pickle=True)("good") == pipeline("good")


def test_the_class_of_a_model_is_one_of_transformers(tmp_path: Path) -> None:
    runlore.transformers.save_model(tiny.pipeline("text-classification"), tmp_path / "m")
    place = from_elsewhere(tmp_path / "m")
    file = place / "MLmodel"
    file.write_text(file.read_text().replace("DistilBertForSequenceClassification", "Trainer"))
    with pytest.raises(InvalidParameter, match="no model class 'Trainer'"):
        runlore.transformers.load_model(place, allow_pickle=True)


def trainer(**options: Any) -> Any:
    rows = [{"input_ids": torch.randint(0, 11, (8,)), "labels": torch.tensor(at % 2)} for at in range(16)]
    arguments = transformers.TrainingArguments(
        output_dir="out", report_to="none", num_train_epochs=1, per_device_train_batch_size=8, logging_steps=1,
        save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    model = tiny.pipeline("text-classification").model
    return transformers.Trainer(model, arguments, train_dataset=rows, processing_class=tiny.tokenizer(), **options)


def test_a_training_becomes_a_run() -> None:
    runlore.transformers.autolog(log_models=True)
    trained = trainer()
    trained.train()
    [run] = runlore.search_runs(output_format="list")
    assert (run.info.status, run.data.tags["mlflow.autologging"]) == ("FINISHED", "transformers")
    assert (run.data.params["num_train_epochs"], run.data.params["hidden_dim"]) == ("1", "32")
    points = runlore.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in points] == [1, 2]
    assert len(runlore.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(TEXTS)) == 2
    runlore.transformers.autolog(disable=True)
    trained.train()
    assert len(runlore.search_runs(output_format="list")) == 1


def test_embeddings(tmp_path: Path) -> None:
    model = tiny.sentence_transformer(tmp_path / "parts")
    expected = model.encode(TEXTS, show_progress_bar=False)
    with runlore.start_run():
        info = runlore.sentence_transformers.log_model(model, name="words", input_example=TEXTS)
    assert np.allclose(runlore.pyfunc.load_model(info.model_uri).predict(TEXTS), expected)
    assert np.allclose(runlore.sentence_transformers.load_model(info.model_uri).encode(TEXTS), expected)
    assert str(info.signature.outputs) == "[Tensor('float32', (-1, 16))]"
    runlore.sentence_transformers.save_model(model, tmp_path / "m", inference_config={"normalize_embeddings": True})
    place = from_elsewhere(tmp_path / "m")
    found = runlore.pyfunc.load_model(place).predict(pd.DataFrame({"text": TEXTS}))
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    modules = place / "model.sentence_transformer" / "modules.json"
    named = json.loads(modules.read_text())
    named[1]["type"] = "os.path"
    modules.write_text(json.dumps(named))
    with pytest.raises(Untrusted, match=r"os\.path"):
        runlore.sentence_transformers.load_model(place)
    for kind in ("sentence_transformers.util.os", "sentence_transformers.models.Router", "sentence_transformers.Transformer.x"):
        named[1]["type"] = kind
        modules.write_text(json.dumps(named))
        with pytest.raises(Untrusted, match="with the modules"):
            runlore.sentence_transformers.load_model(place)
    named[1] |= {"type": "sentence_transformers.models.Dense", "path": "9_Dense"}
    modules.write_text(json.dumps(named))
    (modules.parent / "9_Dense").mkdir()
    (modules.parent / "9_Dense" / "config.json").write_text('{"activation_function": "os.getcwd"}')
    with pytest.raises(Untrusted, match="Dense"):
        runlore.sentence_transformers.load_model(place)
    named[1]["path"] = "../../elsewhere"
    modules.write_text(json.dumps(named))
    with pytest.raises(InvalidParameter, match="elsewhere"):
        runlore.sentence_transformers.load_model(place)
    with pytest.raises(InvalidParameter, match="task"):
        runlore.sentence_transformers.save_model(model, tmp_path / "n", task="llm/v1/embeddings")


def test_spacy_classifies(tmp_path: Path) -> None:
    pipeline = tiny.text_classifier()
    with runlore.start_run():
        info = runlore.spacy.log_model(pipeline, name="texts")
    table = pd.DataFrame({"text": TEXTS})
    found = runlore.pyfunc.load_model(info.model_uri).predict(table)
    assert list(found["predictions"]) == [pipeline(text).cats for text in TEXTS]
    assert runlore.spacy.load_model(info.model_uri)("bad").cats == pipeline("bad").cats
    runlore.spacy.save_model(pipeline, tmp_path / "m")
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.spacy.load_model(from_elsewhere(tmp_path / "m"))


def test_a_spacy_pipeline_without_classes_has_no_function(tmp_path: Path) -> None:
    import spacy

    runlore.spacy.save_model(spacy.blank("en"), tmp_path / "m")
    assert list(get_model_info(tmp_path / "m").flavors) == ["spacy"]
    assert [str(token) for token in runlore.spacy.load_model(tmp_path / "m")("a film")] == ["a", "film"]
