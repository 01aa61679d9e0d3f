"""Train a small GPT-2, character by character, with the Trainer of Hugging Face transformers.

It reads what scikit-learn says of its data sets. The Trainer evaluates at the end of each epoch, and our
callbacks read what it found: the best model goes to text_best.h5, and training stops once the loss has not
improved for two epochs. The archive text.h5 has the cost of each step. It takes some seconds on a CPU.
"""

import torch
from sklearn import datasets
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from trainsignal import Callbacks, StopWhenNotImprovingCallback
from trainsignal.loops.transformers import TransformersLoop
from trainsignal.models.torch import TorchModel

LENGTH = 64  # characters of a sample
loaders = (datasets.load_breast_cancer, datasets.load_diabetes, datasets.load_digits)
text = "\n".join(load().DESCR for load in loaders)
characters = sorted(set(text))
codes = torch.tensor([characters.index(one) for one in text])
windows = codes[: len(codes) // LENGTH * LENGTH].reshape(-1, LENGTH)
samples = [{"input_ids": window, "labels": window} for window in windows]

torch.manual_seed(1)
torch.set_num_threads(1)  # so small a model is no faster with more
config = GPT2Config(
    vocab_size=len(characters), n_positions=LENGTH, n_embd=32, n_layer=1, n_head=2,
    bos_token_id=None, eos_token_id=None,
)  # fmt: skip
model = GPT2LMHeadModel(config)
arguments = TrainingArguments(
    output_dir="text_trainer", num_train_epochs=8, learning_rate=1e-2, per_device_train_batch_size=16,
    eval_strategy="epoch", logging_strategy="epoch", save_strategy="no", report_to="none", disable_tqdm=True,
    dataloader_pin_memory=False, per_device_eval_batch_size=64,
)  # fmt: skip

callbacks = Callbacks(TorchModel(model), output_file="text.h5", progress_bar=False)
callbacks.add_save_best_state_callback("text_best.h5")
callbacks.add_callback(StopWhenNotImprovingCallback(patience=2))
trainer = Trainer(
    model, arguments, train_dataset=samples[::2] + samples[1::4], eval_dataset=samples[3::4],
    callbacks=[TransformersLoop(callbacks)],
)  # fmt: skip
with callbacks:
    trainer.train()

print(callbacks.summary())
