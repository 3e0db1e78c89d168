"""skops files of strangers: sound models load, crafted ones are refused before compiled code sees them."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models.skops_audit import load_skops, untrusted_types

X, y = load_iris(return_X_y=True)
SOUND: list[Callable[[], Any]] = [
    LogisticRegression,
    LinearRegression,
    SGDClassifier,
    GaussianNB,
    SVC,
    SVR,
    GaussianProcessRegressor,
    KNeighborsClassifier,
    lambda: KNeighborsRegressor(algorithm="ball_tree", metric="minkowski", p=3),
    lambda: MLPClassifier((5,), max_iter=20, random_state=0),
    DecisionTreeClassifier,
    lambda: DecisionTreeRegressor(max_leaf_nodes=6),
    lambda: DecisionTreeClassifier(ccp_alpha=0.02),
    lambda: RandomForestClassifier(5),
    lambda: RandomForestRegressor(5, random_state=np.random.RandomState(0)),
    lambda: ExtraTreesRegressor(5),
    lambda: IsolationForest(n_estimators=5),
    lambda: AdaBoostClassifier(n_estimators=5),
    lambda: BaggingClassifier(max_features=0.5),
    lambda: GradientBoostingClassifier(n_estimators=5),
    lambda: GradientBoostingClassifier(n_estimators=5, init="zero"),
    lambda: GradientBoostingRegressor(n_estimators=5),
    lambda: HistGradientBoostingClassifier(max_iter=3),
    lambda: HistGradientBoostingRegressor(max_iter=3),
    lambda: CalibratedClassifierCV(GaussianNB()),
    lambda: GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}),
    lambda: VotingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier())]),
    lambda: StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier())]),
    lambda: make_pipeline(StandardScaler(), RandomForestClassifier(3)),
    lambda: make_pipeline(ColumnTransformer([("a", StandardScaler(), [0])], remainder="passthrough"), Ridge()),
    lambda: make_pipeline(FunctionTransformer(np.log1p), KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), Ridge()),
]


@pytest.mark.parametrize("make", SOUND)
def test_a_sound_model_of_a_stranger_loads_and_predicts_the_same(make: Callable[[], Any], tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's advice about the fits themselves
        model = make().fit(X, y)
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    assert np.allclose(load_skops(path).predict(X), model.predict(X))


class Custom(LogisticRegression):
    """A type that nobody knows."""


def test_unknown_types_are_named_and_load_when_the_caller_trusts_them(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(Custom(max_iter=500).fit(X, y), path)
    (name,) = untrusted_types(path)
    with pytest.raises(Untrusted, match=rf"nobody vouched for: {name}.*trusted=\['{name}'\]"):
        load_skops(path)
    assert isinstance(load_skops(path, trusted=[name]), Custom)
    assert isinstance(load_skops(path, everything=True), Custom)


def test_what_is_no_skops_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(b"hello")
    with pytest.raises(InvalidParameter, match="can not be loaded"):
        load_skops(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps({"protocol": 999}))
    with pytest.raises(InvalidParameter, match="protocol 999"):
        load_skops(path)


# -- crafted files ----------------------------------------------------------------------------------------------------------

Schema = dict[str, Any]


def crafted(model: Any, path: Path, change: Callable[[Schema, dict[str, bytes]], None]) -> Path:
    """A skops file of a model, rewritten by `change(schema, members)`."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    change(schema, members)
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def find(node: Any, **wanted: str) -> Any:
    """The first state in a schema with these entries."""
    if isinstance(node, dict):
        if all(node.get(f"__{key}__") == value for key, value in wanted.items()):
            return node
        node = list(node.values())
    if isinstance(node, list):
        return next((found for item in node if (found := find(item, **wanted)) is not None), None)
    return None


def fields(state: Schema) -> Schema:
    """The attributes of an object's state."""
    found: Schema = state["content"]["content"]
    return found


def rewrite(members: dict[str, bytes], array: Schema, change: Callable[[Any], Any]) -> None:
    """Change an array of a file."""
    values = np.load(io.BytesIO(members[array["file"]])).copy()
    changed = change(values)
    buffer = io.BytesIO()
    np.save(buffer, values if changed is None else changed)
    members[array["file"]] = buffer.getvalue()


def node(column: str, row: int, value: int) -> Callable[[Any], None]:
    """Sets one value of an array of nodes."""

    def change(values: Any) -> None:
        values[column][row] = value

    return change


def in_tree(change: Callable[[Any], Any], key: str = "nodes") -> Callable[[Schema, dict[str, bytes]], None]:
    return lambda schema, members: rewrite(members, fields(find(schema, **{"class": "Tree"}))[key], change)


def number(name: str, value: Any, **where: str) -> Callable[[Schema, dict[str, bytes]], None]:
    """Sets one plain attribute of an object."""

    def change(schema: Schema, members: dict[str, bytes]) -> None:
        attributes = fields(find(schema, **where))
        attributes[name] = {**attributes[name], "content": json.dumps(value), "__id__": 1}

    return change


def drop(name: str, **where: str) -> Callable[[Schema, dict[str, bytes]], None]:
    def change(schema: Schema, members: dict[str, bytes]) -> None:
        state = find(schema, **where)
        position = list(fields(state)).index(name)
        del fields(state)[name]
        del state["content"]["key_types"]["content"][position]

    return change


def add(name: str, like: str, **where: str) -> Callable[[Schema, dict[str, bytes]], None]:
    """Gives an object an attribute, of the value of another one."""

    def change(schema: Schema, members: dict[str, bytes]) -> None:
        state = find(schema, **where)
        fields(state)[name] = fields(state)[like]
        keys = state["content"]["key_types"]["content"]
        keys.append(keys[0])

    return change


def argument(position: int, value: int) -> Callable[[Schema, dict[str, bytes]], None]:
    def change(schema: Schema, members: dict[str, bytes]) -> None:
        arguments = find(schema, **{"class": "Tree"})["__reduce__"]["args"]["content"]
        arguments[position] = {**arguments[position], "content": json.dumps(value), "__id__": 1}

    return change


def hide_behind_an_id(schema: Schema, members: dict[str, bytes]) -> None:
    """The bad nodes come first under an id; the place where the nodes are looked for shows good ones with the same id."""
    tree = find(schema, **{"class": "Tree"})
    good = fields(tree)["nodes"]
    bad = {**good, "file": "bad.npy", "__id__": good["__id__"]}
    members["bad.npy"] = members[good["file"]]
    rewrite(members, bad, node("left_child", 0, 10**6))
    owner = find(schema, **{"class": "DecisionTreeClassifier"})
    content = owner["content"]["content"]
    owner["content"]["content"] = {"aaa": bad, **content}
    keys = owner["content"]["key_types"]["content"]
    keys.append(keys[0])


def elsewhere(schema: Schema, members: dict[str, bytes]) -> None:
    """A tree that no decision tree owns."""
    owner = find(schema, **{"class": "DecisionTreeClassifier"})
    owner["__class__"], owner["__module__"] = "LogisticRegression", "sklearn.linear_model._logistic"


def by_constructor(schema: Schema, members: dict[str, bytes]) -> None:
    """A tree built by calling its type with the file's arguments."""
    owner = fields(find(schema, **{"class": "DecisionTreeClassifier"}))
    tree = owner["tree_"]
    owner["tree_"] = {**tree, "__loader__": "ConstructorFromReduceNode", "content": tree["__reduce__"]["args"]}


def other_keys(schema: Schema, members: dict[str, bytes]) -> None:
    """Attribute names that become something else than the text that was looked at."""
    owner = find(schema, **{"class": "DecisionTreeClassifier"})
    owner["content"]["key_types"]["content"][0] = {
        "__class__": "str_", "__module__": "numpy", "__loader__": "TypeNode", "__id__": 1,
    }  # fmt: skip


TREE_OWNER = {"class": "DecisionTreeClassifier"}
HOSTILE_TREES = {
    "left child out of range": in_tree(node("left_child", 0, 10**6)),
    "right child out of range": in_tree(node("right_child", 0, 10**9)),
    "negative child": in_tree(node("left_child", 0, -7)),
    "half a leaf": in_tree(node("left_child", 0, -1)),
    "cycle": in_tree(node("right_child", 2, 0)),
    "itself": in_tree(node("right_child", 2, 2)),
    "two parents": in_tree(node("right_child", 0, 1)),
    "feature out of range": in_tree(node("feature", 0, 4)),
    "feature far out of range": in_tree(node("feature", 0, 2**40)),
    "negative feature": in_tree(node("feature", 0, -3)),
    "nodes cut off": in_tree(lambda values: values[:3]),
    "no nodes": in_tree(lambda values: values[:0]),
    "nodes of another type": in_tree(lambda values: values["left_child"]),
    "values of another shape": in_tree(lambda values: values[:, :, :1], "values"),
    "values cut off": in_tree(lambda values: values[:2], "values"),
    "more nodes than there are": number("node_count", 10**6, **{"class": "Tree"}),
    "deeper than it says": number("max_depth", 0, **{"class": "Tree"}),
    "other number of features": argument(0, 400),
    "more outputs than classes": argument(2, 50),
    "estimator of another width": number("n_features_in_", 400, **TREE_OWNER),
    "estimator without a width": drop("n_features_in_", **TREE_OWNER),
    "method replaced": add("_validate_X_predict", "tree_", **TREE_OWNER),
    "hidden behind an id": hide_behind_an_id,
    "tree without an owner": elsewhere,
    "tree by its constructor": by_constructor,
    "names of another type": other_keys,
}


@pytest.mark.parametrize("change", HOSTILE_TREES.values(), ids=HOSTILE_TREES)
def test_a_crafted_tree_is_refused(change: Callable[[Schema, dict[str, bytes]], None], tmp_path: Path) -> None:
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", change)
    with pytest.raises(Untrusted, match="Refused to load"):
        load_skops(path)


def test_the_crafting_itself_changes_nothing(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", lambda schema, members: None)
    assert np.array_equal(load_skops(path).predict(X), model.predict(X))


def test_a_crafted_tree_in_a_forest_is_refused(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", in_tree(node("feature", 0, 10**6)))
    with pytest.raises(Untrusted, match="feature index is out of range"):
        load_skops(path)


def in_predictor(change: Callable[[Any], Any]) -> Callable[[Schema, dict[str, bytes]], None]:
    return lambda schema, members: rewrite(members, fields(find(schema, **{"class": "TreePredictor"}))["nodes"], change)


HISTOGRAM = {"class": "HistGradientBoostingClassifier"}
HOSTILE_PREDICTORS = {
    "left child out of range": in_predictor(node("left", 0, 10**6)),
    "cycle": in_predictor(node("right", 0, 0)),
    "feature out of range": in_predictor(node("feature_idx", 0, 4)),
    "category set out of range": in_predictor(node("is_categorical", 0, 1)),
    "estimator of another width": number("n_features_in_", 400, **HISTOGRAM),
    "input not looked at": add("_in_fit", "max_iter", **HISTOGRAM),
    "input changed": add("_preprocessor", "max_iter", **HISTOGRAM),
}


@pytest.mark.parametrize("change", HOSTILE_PREDICTORS.values(), ids=HOSTILE_PREDICTORS)
def test_a_crafted_predictor_is_refused(change: Callable[[Schema, dict[str, bytes]], None], tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=2, random_state=0).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", change)
    with pytest.raises(Untrusted, match="Refused to load"):
        load_skops(path)


BOOSTING = {"class": "GradientBoostingClassifier"}
HOSTILE_BOOSTING = {
    "fewer columns than trees": number("n_trees_per_iteration_", 2, **BOOSTING),
    "first guess of fewer columns": lambda schema, members: rewrite(
        members, fields(find(schema, **{"class": "DummyClassifier"}))["class_prior_"], lambda values: values[:2]
    ),
    "another first guess": lambda schema, members: fields(find(schema, **BOOSTING)).update(
        init_=fields(find(schema, **BOOSTING))["_loss"]
    ),
    "another width": number("n_features_in_", 400, **BOOSTING),
}


@pytest.mark.parametrize("change", HOSTILE_BOOSTING.values(), ids=HOSTILE_BOOSTING)
def test_a_crafted_ensemble_is_refused(change: Callable[[Schema, dict[str, bytes]], None], tmp_path: Path) -> None:
    model = GradientBoostingClassifier(n_estimators=2, random_state=0).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", change)
    with pytest.raises(Untrusted, match="Refused to load"):
        load_skops(path)


def in_neighbours(position: int, change: Callable[[Any], Any]) -> Callable[[Schema, dict[str, bytes]], None]:
    return lambda schema, members: rewrite(members, find(schema, **{"class": "KDTree"})["content"]["content"][position], change)


def shift(values: Any) -> Any:
    return values + 1


HOSTILE_NEIGHBOURS = {
    "points out of range": in_neighbours(1, shift),
    "range out of range": in_neighbours(2, node("idx_end", 0, 10**6)),
    "no leaf at the end": in_neighbours(2, node("is_leaf", -1, 0)),
    "nodes cut off": in_neighbours(2, lambda values: values[:1]),
    "bounds cut off": in_neighbours(3, lambda values: values[:, :1]),
    "points cut off": in_neighbours(0, lambda values: values[:3]),
}


@pytest.mark.parametrize("change", HOSTILE_NEIGHBOURS.values(), ids=HOSTILE_NEIGHBOURS)
def test_a_crafted_neighbour_tree_is_refused(change: Callable[[Schema, dict[str, bytes]], None], tmp_path: Path) -> None:
    model = KNeighborsClassifier(leaf_size=10).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", change)
    with pytest.raises(Untrusted, match="Refused to load"):
        load_skops(path)


def test_consent_loads_what_the_check_refuses(tmp_path: Path) -> None:
    """With the caller's word the file is as dangerous as a pickle, and loads like one."""
    model = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    path = crafted(model, tmp_path / "model.skops", number("max_depth", 0, **{"class": "Tree"}))
    assert np.array_equal(load_skops(path, everything=True).predict(X), model.predict(X))
