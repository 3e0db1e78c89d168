"""A Trainer of Lightning with its MLFlowLogger, checkpoints included, as its users write it."""

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from torch.utils.data import DataLoader, TensorDataset


class Line(L.LightningModule):
    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        self.log("val_loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.hparams["rate"])


torch.manual_seed(0)
features = torch.randn(32, 4)
loader = DataLoader(TensorDataset(features, features.sum(1, keepdim=True)), batch_size=8)
logger = MLFlowLogger(experiment_name="lines", run_name="tiny", tags={"team": "a"}, log_model=True)
trainer = L.Trainer(
    max_epochs=3, logger=logger, log_every_n_steps=1, accelerator="cpu", enable_progress_bar=False,
    callbacks=[ModelCheckpoint(dirpath="points", monitor="val_loss")],
)  # fmt: skip
trainer.fit(Line(), loader, loader)
assert logger.run_id
