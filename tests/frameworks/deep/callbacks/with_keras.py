"""A training of Keras 3 with MLflow's callback, as its users write it."""

import keras
import mlflow
import numpy as np
from mlflow.keras import MlflowCallback

mlflow.set_experiment("keras")
generator = np.random.default_rng(0)
features = generator.normal(size=(32, 4)).astype("float32")
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
with mlflow.start_run(run_name="tiny") as run:
    model.fit(
        features, features.sum(1), validation_split=0.25, epochs=3, batch_size=8, verbose=0,
        callbacks=[MlflowCallback()],
    )  # fmt: skip
