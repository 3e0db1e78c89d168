"""A small real sweep on handwritten digits: curves, figures, reports and a model for each of six runs (some ten seconds).

Each setting of a neural network is one run, nested under the run of the sweep. Logged at every batch: training loss; at every
epoch: losses and accuracies, the norm of the weights; at the end: a confusion matrix, a report, a table of mistakes, the model.
"""

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import runlore
import runlore.sklearn

EPOCHS, BATCH = 16, 64
SETTINGS = [
    {"hidden": 16, "learning_rate": 0.001, "solver": "adam"},
    {"hidden": 64, "learning_rate": 0.001, "solver": "adam"},
    {"hidden": 64, "learning_rate": 0.01, "solver": "adam"},
    {"hidden": 64, "learning_rate": 0.1, "solver": "adam"},
    {"hidden": 32, "learning_rate": 0.01, "solver": "sgd"},
    {"hidden": 64, "learning_rate": 0.1, "solver": "sgd"},
]

digits = load_digits()
classes = np.unique(digits.target)
pixels_train, pixels_test, y_train, y_test = train_test_split(digits.data, digits.target, test_size=0.25, random_state=0)
scaler = MinMaxScaler().fit(pixels_train)
X_train, X_test = scaler.transform(pixels_train), scaler.transform(pixels_test)


def log_epoch(network, epoch):
    """Losses and accuracies on both halves of the data, by the number of batches seen."""
    step = (epoch + 1) * (len(X_train) // BATCH)
    seen, unseen = network.predict_proba(X_train), network.predict_proba(X_test)
    values = {
        "train/loss": log_loss(y_train, seen, labels=classes),
        "test/loss": log_loss(y_test, unseen, labels=classes),
        "train/accuracy": accuracy_score(y_train, seen.argmax(axis=1)),
        "test/accuracy": accuracy_score(y_test, unseen.argmax(axis=1)),
        "weights/norm": float(np.sqrt(sum((layer**2).sum() for layer in network.coefs_))),
        "epoch": epoch + 1,
    }
    runlore.log_metrics(values, step=step)
    return values


def log_findings(model, values):
    """What a reader wants to see of a finished run, as files."""
    predicted = model.predict(pixels_test)
    runlore.log_text(classification_report(y_test, predicted, zero_division=0), "report.txt")
    runlore.log_dict({"final": values, "classes": classes.tolist(), "test_images": len(y_test)}, "summary.json")
    wrong = np.flatnonzero(predicted != y_test)[:20]
    rows = "\n".join(f"| {index} | {y_test[index]} | {predicted[index]} |" for index in wrong)
    runlore.log_text(f"| image | is | was taken for |\n|---|---|---|\n{rows}\n", "mistakes.md")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return  # the figure is a luxury: pip install matplotlib
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    matrix = confusion_matrix(y_test, predicted, labels=classes)
    axes.imshow(matrix, cmap="Blues")
    for row in classes:
        for column in classes:
            shade = "white" if matrix[row, column] > matrix.max() / 2 else "black"
            axes.text(column, row, matrix[row, column], ha="center", va="center", color=shade, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", xticks=classes, yticks=classes)
    runlore.log_figure(figure, "confusion_matrix.png")


def train(setting):
    """One run: train a network batch by batch, log what happens."""
    network = MLPClassifier(
        (setting["hidden"],), solver=setting["solver"], learning_rate_init=setting["learning_rate"], random_state=0
    )
    shuffle = np.random.default_rng(0)
    values = {}
    for epoch in range(EPOCHS):
        order = shuffle.permutation(len(X_train))
        for batch in range(len(X_train) // BATCH):
            chosen = order[batch * BATCH : (batch + 1) * BATCH]
            network.partial_fit(X_train[chosen], y_train[chosen], classes=classes)
            runlore.log_metric("batch/loss", network.loss_, step=epoch * (len(X_train) // BATCH) + batch + 1)
        values = log_epoch(network, epoch)
    model = make_pipeline(scaler, network)
    log_findings(model, values)
    runlore.sklearn.log_model(model, "digits", input_example=pixels_test[:2])
    return values["test/accuracy"]


runlore.set_experiment("digits")
with runlore.start_run(run_name="sweep") as sweep:
    started = time.monotonic()
    runlore.set_tag("mlflow.note.content", "Six small networks on handwritten digits: which learning rate is too much?")
    accuracies = {}
    for setting in SETTINGS:
        name = "{solver}-{hidden}-lr{learning_rate}".format(**setting)
        with runlore.start_run(run_name=name, nested=True, tags={"data": "digits"}) as run:
            runlore.log_params({**setting, "epochs": EPOCHS, "batch_size": BATCH})
            accuracies[run.info.run_id] = train(setting)
            print(f"{name:20} accuracy {accuracies[run.info.run_id]:.3f}")
    best = max(accuracies, key=accuracies.get)
    runlore.log_metrics({"best/accuracy": accuracies[best], "seconds": time.monotonic() - started})
    runlore.set_tag("best_run", best)

version = runlore.register_model(f"runs:/{best}/digits", "digits")
print(f"The best is registered: models:/digits/{version.version}")
