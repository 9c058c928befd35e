"""A Lightning training that stops early: the loss of its validation only rises."""

import warnings

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

import overnight
from overnight.integrations.lightning import LedgerCallback

warnings.filterwarnings("ignore")


class Regression(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
        self.num_validations = 0

    def training_step(self, batch, index):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.layer(x), y)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        # Lightning has it three times then, one of them the last batch's: 3 of 0, 1, 2, 3.
        self.log("train_acc", float(index), on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.num_validations += 1
        self.log("val_loss", float(self.num_validations))
        self.log("val_acc", 0.5)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


overnight.init("lightning")
data = DataLoader(TensorDataset(torch.randn(32, 4), torch.randn(32, 1)), batch_size=8)
pl.Trainer(
    max_epochs=20,
    num_sanity_val_steps=0,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    callbacks=[
        LedgerCallback(),
        EarlyStopping("val_loss", patience=2),
        ModelCheckpoint("ckpt", monitor="val_loss"),
    ],
).fit(Regression(), data, data)
