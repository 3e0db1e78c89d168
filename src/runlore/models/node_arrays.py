"""Range checks on the node arrays of scikit-learn's trees, before compiled code that trusts them sees them.

scikit-learn walks its trees in C without bounds checks: a child or feature index out of range reads (or writes) foreign
memory at the first prediction. These functions say why an array is refused, or None when every index stays inside. They look
at numbers only and build nothing.
"""

from __future__ import annotations

from typing import Any

LEAF = -1
NO_FEATURE = -2


def refuse_tree(nodes: Any, values: Any, state: dict[str, int], classes: Any) -> str | None:
    """Why the arrays of a `sklearn.tree._tree.Tree` are refused.

    `state` holds n_features, n_outputs, node_count and max_depth; `classes` is the number of classes of each output.
    """
    import numpy as np
    from sklearn.tree._tree import NODE_DTYPE

    count, features, outputs = state["node_count"], state["n_features"], state["n_outputs"]
    if not (_is_array(nodes, 1) and nodes.dtype.names == NODE_DTYPE.names and 1 <= len(nodes) == count):
        return "its nodes are not an array of node_count tree nodes"
    if not (_is_array(classes, 1) and classes.dtype.kind == "i" and len(classes) == outputs >= 1):
        return "the number of classes is not given for each output"
    if not 1 <= int(classes.min()) <= int(classes.max()) <= 2**24:
        return "a number of classes is out of range"
    if not (_is_array(values, 3) and values.dtype == np.float64 and values.shape == (count, outputs, int(classes.max()))):
        return "its values do not have the shape (nodes, outputs, classes)"
    left, right = nodes["left_child"].astype(np.int64), nodes["right_child"].astype(np.int64)
    leaf = left == LEAF
    if not np.array_equal(leaf, right == LEAF) or not np.all(nodes["feature"][leaf] == NO_FEATURE):
        return "a leaf does not look like a leaf"
    return _refuse_splits(left, right, nodes["feature"], leaf, features) or _refuse_depth(left, right, leaf, state["max_depth"])


def refuse_predictor(nodes: Any, raw_sets: Any, binned_sets: Any, features: int, categorical: Any) -> str | None:
    """Why the arrays of a histogram gradient boosting predictor are refused; `categorical` is a flag for each feature."""
    import numpy as np
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    if not (_is_array(nodes, 1) and nodes.dtype.names == PREDICTOR_RECORD_DTYPE.names and len(nodes)):
        return "its nodes are not an array of predictor nodes"
    if not (_is_array(categorical, 1) and len(categorical) == features):
        return "its features are not each marked as categorical or not"
    for sets in (raw_sets, binned_sets):
        if not (_is_array(sets, 2) and sets.dtype == np.uint32 and sets.shape[1] == 8):
            return "its category sets do not have the shape (sets, 8)"
    leaf = nodes["is_leaf"] != 0
    chosen = (nodes["is_categorical"] != 0) & ~leaf
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    if reason := _refuse_splits(left, right, nodes["feature_idx"], leaf, features):
        return reason
    if np.any(nodes["bitset_idx"][chosen] >= min(len(raw_sets), len(binned_sets))):
        return "a category set is out of range"
    return "a split by category is on a feature without categories" if not np.all(
        categorical[nodes["feature_idx"][chosen]]
    ) else None  # fmt: skip


def refuse_neighbour_tree(state: tuple[Any, ...], bounds: int) -> str | None:
    """Why the state of a k-d tree (`bounds` = 2) or ball tree (`bounds` = 1) of doubles is refused."""
    import numpy as np

    data, order, nodes, node_bounds, leaf_size, levels, count = state[:7]
    if not (_is_array(data, 2) and data.dtype == np.float64 and data.size and all(type(n) is int for n in state[4:11])):
        return "its points are not a table of doubles"
    points = len(data)
    if not (_is_array(order, 1) and order.dtype == np.int64 and len(order) == points and _inside(order, 0, points)):
        return "an index of a point is out of range"
    if not (_is_array(nodes, 1) and nodes.dtype.names == ("idx_start", "idx_end", "is_leaf", "radius") and leaf_size > 0):
        return "its nodes are not an array of nodes"
    if not (1 <= levels <= 48 and count == len(nodes) == 2**levels - 1):
        return "the number of nodes does not fit the number of levels"
    if not (_is_array(node_bounds, 3) and node_bounds.dtype == np.float64):
        return "its bounds are not an array of doubles"
    if node_bounds.shape != (bounds, count, data.shape[1]):
        return "its bounds do not fit its nodes"
    start, end = nodes["idx_start"], nodes["idx_end"]
    if not (_inside(start, 0, points + 1) and _inside(end, 0, points + 1) and np.all(start <= end)):
        return "a range of points is out of range"
    return None if np.all(nodes["is_leaf"][count // 2 :] != 0) else "a node of the last level is not a leaf"


def _is_array(value: Any, dimensions: int) -> bool:
    import numpy as np

    return type(value) is np.ndarray and value.ndim == dimensions


def _inside(values: Any, low: int, high: int) -> bool:
    return values.size == 0 or (int(values.min()) >= low and int(values.max()) < high)


def _refuse_splits(left: Any, right: Any, feature: Any, leaf: Any, features: int) -> str | None:
    """Children come after their parent (so there is no cycle), each has one parent, features exist."""
    import numpy as np

    count = len(left)
    inner = np.flatnonzero(~leaf)
    children = np.concatenate([left[inner], right[inner]])
    if not _inside(children, 0, count):
        return "a child index is out of range"
    if np.any(children <= np.concatenate([inner, inner])):
        return "a child does not come after its parent"
    if np.any(np.bincount(children, minlength=count) > 1):
        return "a node has two parents"
    return None if _inside(feature[inner], 0, features) else "a feature index is out of range"


def _refuse_depth(left: Any, right: Any, leaf: Any, limit: int) -> str | None:
    """The recorded depth is the size of a buffer: no path may be longer."""
    import numpy as np

    if not 0 <= limit <= len(left):
        return "its depth is out of range"
    level = np.zeros(1, dtype=np.int64)
    for _ in range(limit + 1):
        level = level[~leaf[level]]
        if not len(level):
            return None
        level = np.concatenate([left[level], right[level]])
    return "it is deeper than it says"
