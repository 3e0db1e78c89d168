"""A Trainer of Transformers that reports to MLflow, as its users write it."""

import torch
from transformers import DistilBertConfig, DistilBertForSequenceClassification, Trainer, TrainingArguments

torch.manual_seed(0)
config = DistilBertConfig(vocab_size=50, dim=16, hidden_dim=32, n_layers=1, n_heads=2, max_position_embeddings=16)
rows = [{"input_ids": torch.randint(0, 50, (8,)), "labels": torch.tensor(at % 2)} for at in range(32)]
arguments = TrainingArguments(
    output_dir="out", report_to=["mlflow"], run_name="tiny", num_train_epochs=2, per_device_train_batch_size=8,
    logging_steps=1, eval_strategy="epoch", save_strategy="no", use_cpu=True, disable_tqdm=True,
)  # fmt: skip
Trainer(DistilBertForSequenceClassification(config), arguments, train_dataset=rows, eval_dataset=rows[:8]).train()
