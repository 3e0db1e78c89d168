"""Loading skops files: which types are allowed, and which content.

skops builds only objects of allowed types. The list of allowed types is ours (skops' own audited list, and the few below);
a caller may add to it; the file and its `MLmodel` never may. Some of scikit-learn's compiled types index into arrays without
bounds checks, so skops leaves them out; here they are let in after their content was checked (node_arrays.py), inside the
estimator that validates the width of its input:

* `Tree` as `tree_` of a decision tree whose `n_features_in_` is the tree's own number of features;
* `TreePredictor` within a histogram gradient boosting estimator without a preprocessor;
* k-d trees and ball trees of doubles, with a metric that has no parameters of its own.

The checks run on skops' graph of nodes before anything is built, and the arrays that were checked are the ones that are used.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency, Untrusted
from runlore.models.node_arrays import refuse_neighbour_tree, refuse_predictor, refuse_tree

TREE = "sklearn.tree._tree.Tree"
PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
_NEIGHBOUR_TREES = {"sklearn.neighbors._kd_tree.KDTree": 2, "sklearn.neighbors._ball_tree.BallTree": 1}
_METRICS = {
    f"sklearn.metrics._dist_metrics.{name}Distance64": points
    for name, points in (("Euclidean", 1), ("Manhattan", 1), ("Chebyshev", 1), ("Minkowski", 0))
}
_TREE_OWNERS = tuple(
    f"sklearn.tree._classes.{name}"
    for name in ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor")
)
_BOOSTING = tuple(f"sklearn.ensemble._gb.GradientBoosting{kind}" for kind in ("Classifier", "Regressor"))
_HISTOGRAM_BOOSTING = tuple(
    f"sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoosting{kind}"
    for kind in ("Classifier", "Regressor")
)
CHECKED = (TREE, PREDICTOR, *_NEIGHBOUR_TREES, *_METRICS)
"""Types that are let in after their content was checked."""

_KERNELS = ("CompoundKernel", "ConstantKernel", "DotProduct", "ExpSineSquared", "Exponentiation", "Matern", "PairwiseKernel",
            "Product", "RationalQuadratic", "RBF", "Sum", "WhiteKernel")  # fmt: skip
_SPLITTERS = ("GroupKFold", "KFold", "LeaveOneOut", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit",
              "StratifiedKFold", "StratifiedShuffleSplit", "TimeSeriesSplit", "_CVIterableWrapper")  # fmt: skip
PLAIN = (
    "numpy.dtype",
    "numpy.mean",
    "collections.OrderedDict",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
    "sklearn.metrics._scorer._PassthroughScorer",
    *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS),
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
)
"""Types that are plain Python (or numpy's own) and run nothing of the file's when they are built."""

MAX_RATIO, SMALL = 100, 64 * 2**20
"""How many bytes a compressed file may hold for each byte of its own, beyond what is small anyway. skops does not compress
unless it is asked to."""

_BROKEN = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, MemoryError, EOFError, OverflowError,
    NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What zip, JSON and array readers raise for a file that is not what it says."""
_HINT = "hint: pip install 'runlore[sklearn]'"


def untrusted_types(path: Path) -> list[str]:
    """Types in a skops file that skops itself does not trust."""
    skops = _skops()
    try:
        return sorted(skops.get_untrusted_types(file=path))
    except _BROKEN as error:
        raise InvalidParameter(f"{path} is not a skops file: {error!r}.") from None


def load_skops(path: Path, trusted: list[str] | None = None, everything: bool = False) -> Any:
    """The object in a skops file.

    `trusted` adds types that the caller vouches for. `everything` skips all checks: for files that this installation wrote,
    or that the caller consented to. Raises `Untrusted` for other types and for content that would leave its arrays.
    """
    skops = _skops()
    if everything:
        return skops.load(path, trusted=untrusted_types(path))
    allowed = [*PLAIN, *CHECKED, *(trusted or [])]
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_bomb(archive, path)
            root = _node_graph(archive, allowed)
            if unknown := sorted(root.get_unsafe_set() - set(allowed)):
                raise Untrusted(
                    f"Refused to load {path.name}: it holds types that nobody vouched for: {', '.join(unknown)}. This "
                    "installation did not write the file. If you know where it comes from and trust these types, pass "
                    f"trusted={unknown!r} to load_model()."
                )
            _Content(root).check()
            return root.construct()
    except (*_BROKEN, ImportError) as error:
        if isinstance(error, MissingDependency):
            raise
        raise InvalidParameter(f"{path} can not be loaded: {error!r}.") from error


def _refuse_bomb(archive: zipfile.ZipFile, path: Path) -> None:
    """Compare what the file says that its members hold, beyond which the zip reader does not go, with its own size."""
    held, size = sum(member.file_size for member in archive.infolist()), path.stat().st_size
    if held > max(SMALL, MAX_RATIO * size):
        raise Untrusted(
            f"Refused to load {path.name}: its {size} bytes unfold to {held}, more than {MAX_RATIO} times as many. This "
            "installation did not write the file; load_model(..., allow_pickle=True) loads it all the same."
        )


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        raise MissingDependency(f"scikit-learn models are kept in skops files, and skops is not installed. {_HINT}") from None
    return skops.io


def _node_graph(archive: zipfile.ZipFile, allowed: list[str]) -> Any:
    """skops' graph of the file: what would be built, nothing of it built yet."""
    from skops.io._audit import get_tree
    from skops.io._protocol import PROTOCOL
    from skops.io._utils import LoadContext

    schema = json.loads(archive.read("schema.json"))
    protocol = schema["protocol"]
    if type(protocol) is not int or not 0 <= protocol <= PROTOCOL:
        raise ValueError(f"skops protocol {protocol!r} is unknown; this skops knows protocols up to {PROTOCOL}")
    return get_tree(schema, LoadContext(src=archive, protocol=protocol), trusted=allowed)


def _type_name(node: Any) -> str:
    return f"{node.module_name}.{node.class_name}"


class _Content:
    """The checks of one file's content. A node of a checked type that no check has met is refused."""

    def __init__(self, root: Any) -> None:
        from skops.io import _general, _numpy, _sklearn

        self.kinds = {
            "object": _general.ObjectNode, "dict": _general.DictNode, "list": _general.ListNode, "tuple": _general.TupleNode,
            "json": _general.JsonNode, "type": _general.TypeNode, "array": _numpy.NdArrayNode, "tree": _sklearn.TreeNode,
        }  # fmt: skip
        self.nodes = list(_reachable(root))
        self.met: set[int] = set()

    def check(self) -> None:
        """Raise `Untrusted` for the first content that is out of range."""
        for node in self.nodes:
            name = _type_name(node)
            if type(node) is not self.kinds["object"]:
                continue
            if name in _TREE_OWNERS:
                self._decision_tree(node, name)
            elif name in _BOOSTING:
                self._boosting(node, name)
            elif name in _HISTOGRAM_BOOSTING:
                self._histogram_boosting(node, name)
            elif name in _NEIGHBOUR_TREES:
                self._neighbour_tree(node, name)
        for node in self.nodes:
            if (_type_name(node) in CHECKED or isinstance(node, self.kinds["tree"])) and id(node) not in self.met:
                _refuse(_type_name(node), "it stands in a place where its content can not be checked")

    def _decision_tree(self, node: Any, name: str) -> None:
        fields = self._estimator(node, name)
        tree = fields.get("tree_")
        if tree is None:
            return
        if type(tree) is not self.kinds["tree"] or _type_name(tree) != TREE:
            _refuse(name, "its tree_ is not a tree")
        arguments = self._items(tree.children["args"], "tuple", name)
        state = self._fields(tree.children["attrs"], name)
        if len(arguments) != 3:
            _refuse(name, "its tree_ is not made of three arguments")
        numbers = {
            "n_features": self._number(arguments[0], name),
            "n_outputs": self._number(arguments[2], name),
            "node_count": self._number(state.get("node_count"), name),
            "max_depth": self._number(state.get("max_depth"), name),
        }
        if self._number(fields.get("n_features_in_"), name) != numbers["n_features"]:
            _refuse(name, "its tree_ has another number of features")
        arrays = [self._array(part, name) for part in (state.get("nodes"), state.get("values"), arguments[1])]
        if reason := refuse_tree(arrays[0], arrays[1], numbers, arrays[2]):
            _refuse(name, reason)
        self.met |= {id(tree), id(tree.children["constructor"])}

    def _boosting(self, node: Any, name: str) -> None:
        """All trees have the width of the ensemble and one output, one column of trees for each column of predictions."""
        fields = self._estimator(node, name)
        if "estimators_" not in fields:
            return
        array = fields["estimators_"]
        if type(array) is not self.kinds["array"] or array.type != "json":
            _refuse(name, "its estimators_ are not a table of trees")
        shape = [self._number(part, name) for part in self._items(array.children["shape"], "tuple", name)]
        rows = [self._items(row, "list", name) for row in array.children["content"]]
        width = self._number(fields.get("n_features_in_"), name)
        columns = self._number(fields.get("n_trees_per_iteration_"), name)
        if shape != [len(rows), columns] or any(len(row) != columns for row in rows):
            _refuse(name, "its estimators_ do not have one column for each tree of an iteration")
        for tree in (item for row in rows for item in row):
            inner = self._fields(tree.children.get("attrs"), name)
            if _type_name(tree) != _TREE_OWNERS[1] or self._number(inner.get("n_features_in_"), name) != width:
                _refuse(name, "one of its estimators_ is not a regression tree of its width")
        if columns > 1:
            self._first_guess(fields, columns, name)

    def _first_guess(self, fields: dict[str, Any], columns: int, name: str) -> None:
        """The trees add to the first guess in place: it has as many columns as there are trees in an iteration."""
        loss, guess = fields.get("_loss"), fields.get("init_")
        if type(loss) is not self.kinds["object"] or _type_name(loss) != "sklearn._loss.loss.HalfMultinomialLoss":
            _refuse(name, "its loss is not that of several classes")
        if "is_multiclass" in self._estimator(loss, name):
            _refuse(name, "its loss is not what its type says")
        if type(guess) is self.kinds["json"] and self._json(guess, name) == "zero":
            return
        if type(guess) is not self.kinds["object"] or _type_name(guess) != "sklearn.dummy.DummyClassifier":
            _refuse(name, "its init_ is an estimator of the file's choice")
        facts = self._estimator(guess, name)
        one = self._number(facts.get("n_outputs_"), name) == 1 and self._json(facts.get("_strategy"), name) == "prior"
        if not one or self._array(facts.get("class_prior_"), name).shape != (columns,):
            _refuse(name, "its first guess does not have one column for each class")

    def _histogram_boosting(self, node: Any, name: str) -> None:
        fields = self._estimator(node, name)
        if "_predictors" not in fields:
            return
        if "_in_fit" in fields or self._json(fields.get("_preprocessor"), name) is not None:
            _refuse(name, "it changes its input before the width is known")
        width = self._number(fields.get("n_features_in_"), name)
        if "_bin_mapper" not in fields:
            _refuse(name, "it has no _bin_mapper")
        categorical = self._array(self._estimator(fields["_bin_mapper"], name).get("is_categorical_"), name)
        for predictors in self._items(fields["_predictors"], "list", name):
            for predictor in self._items(predictors, "list", name):
                if _type_name(predictor) != PREDICTOR:
                    _refuse(name, "one of its predictors is not a predictor")
                parts = self._estimator(predictor, PREDICTOR)
                names = ("nodes", "raw_left_cat_bitsets", "binned_left_cat_bitsets")
                nodes, raw_sets, binned_sets = (self._array(parts.get(key), name) for key in names)
                if reason := refuse_predictor(nodes, raw_sets, binned_sets, width, categorical):
                    _refuse(name, reason)
                self.met.add(id(predictor))

    def _neighbour_tree(self, node: Any, name: str) -> None:
        parts = self._items(node.children["attrs"], "tuple", name)
        if len(parts) != 13 or self._json(parts[12], name) is not None:
            _refuse(name, "its state is not that of an unweighted tree")
        arrays = [self._array(part, name) for part in parts[:4]]
        numbers = [self._number(part, name) for part in parts[4:11]]
        if reason := refuse_neighbour_tree((*arrays, *numbers), _NEIGHBOUR_TREES[name]):
            _refuse(name, reason)
        metric = parts[11]
        metric_name = _type_name(metric)
        if type(metric) is not self.kinds["object"] or metric_name not in _METRICS:
            _refuse(name, f"its metric is {metric_name}")
        state = self._items(metric.children["attrs"], "tuple", metric_name)
        vector = self._array(state[1], metric_name) if len(state) == 3 else None
        if vector is None or vector.shape != (_METRICS[metric_name],) or self._array(state[2], metric_name).size > 1:
            _refuse(metric_name, "it has parameters of its own")
        self.met |= {id(node), id(metric)}

    # -- reading values without building objects --------------------------------------------------------------------

    def _estimator(self, node: Any, name: str) -> dict[str, Any]:
        """The attributes of an estimator; none of them hides a method that would check the input."""
        from skops.io._utils import gettype

        if type(node) is not self.kinds["object"]:
            _refuse(name, "a part of it is not an object")
        fields = self._fields(node.children["attrs"], name)
        kind = gettype(node.module_name, node.class_name)
        if hidden := [field for field in fields if callable(getattr(kind, field, None))]:
            _refuse(name, f"the attribute {hidden[0]!r} would replace a method")
        return fields

    def _fields(self, node: Any, name: str) -> dict[str, Any]:
        if type(node) is not self.kinds["dict"] or _type_name(node) != "builtins.dict":
            _refuse(name, "its attributes are not a dictionary")
        keys = self._items(node.children["key_types"], "list", name)
        content: dict[str, Any] = node.children["content"]
        if len(keys) != len(content) or any(_type_name(key) != "builtins.str" for key in keys):
            _refuse(name, "the names of its attributes are not texts")
        return content

    def _items(self, node: Any, kind: str, name: str) -> list[Any]:
        if type(node) is not self.kinds[kind] or _type_name(node) != f"builtins.{kind}":
            _refuse(name, f"a part of it is not a {kind}")
        content: list[Any] = list(node.children["content"])
        return content

    def _array(self, node: Any, name: str) -> Any:
        """A plain array: the very object that will be used, read without pickle."""
        if type(node) is not self.kinds["array"] or _type_name(node) != "numpy.ndarray" or node.type != "numpy":
            _refuse(name, "a part of it is not a plain array")
        return node.construct()

    def _json(self, node: Any, name: str) -> Any:
        if type(node) is not self.kinds["json"]:
            _refuse(name, "a part of it is not a plain value")
        return node.construct()

    def _number(self, node: Any, name: str) -> int:
        if type(node) is self.kinds["array"] and _type_name(node) == "numpy.int64" and node.type == "numpy":
            return int(node.construct())
        value = self._json(node, name)
        if type(value) is not int or not 0 <= value < 2**53:
            _refuse(name, f"{value!r} is not a number in range")
        return int(value)


def _reachable(root: Any) -> Iterator[Any]:
    """Every node of the graph once, children after parents."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list | tuple):
            waiting.extend(node)
        elif hasattr(node, "children") and id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(child for child in node.children.values() if not isinstance(child, str | bytes | io.BytesIO))
            waiting.append(getattr(node, "cached", None))


def _refuse(name: str, reason: str) -> None:
    raise Untrusted(
        f"Refused to load a {name}: {reason}. Compiled code would leave its memory. This installation did not write the "
        "file; load_model(..., allow_pickle=True) loads it without this check, as dangerous as a pickle."
    )
