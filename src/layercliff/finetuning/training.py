"""Supervised fine-tuning of a pruned model on right answers, with peft and trl."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional
from transformers import PrinterCallback, TrainerCallback

from layercliff import cache, choices, limits
from layercliff.errors import ModelError
from layercliff.finetuning.examples import IGNORED, Example
from layercliff.machine import out_of_memory
from layercliff.models.adapters import library, quietly
from layercliff.models.model import Model
from layercliff.models.precision import computing_in
from layercliff.progress import Note, Report, mute

RATES: Mapping[choices.TrainingMethod, float] = {"lora": 5e-4, "full": 5e-5}
WARMUP = 0.1  # share of the updates over which the rate rises; then it falls to 0 along a line
CHECKPOINTS = 5  # of a training
LOGGED = 4  # losses between two checkpoints
HELD = 4  # times fewer tokens than are read at once pass through at once, since what every layer computed is held for the way back


@dataclass(frozen=True)
class Training:
    """How models are trained: AdamW, `updates` of `batch` questions each. `rank` is that of the LoRA matrices, `distill` the weight of the divergence from the
    dense model's distribution at the answer's tokens, the rest being the answer's own loss. Raises `RunError` for what cannot be."""

    method: choices.TrainingMethod
    updates: int
    batch: int
    rate: float
    rank: int
    distill: float

    def __post_init__(self) -> None:
        limits.check(updates=self.updates, batch=self.batch, rate=self.rate, rank=self.rank, distill=self.distill)

    def as_dict(self) -> dict[str, Any]:
        """For files."""
        return asdict(self)


def train(
    model: Model, examples: Sequence[Example], how: Training, seed: int, folder: Path, teacher: Model, what: str, report: Report, note: Note = mute,
    batch_tokens: int | None = None,
) -> tuple[Any, list[tuple[int, float]]]:  # fmt: skip
    """Train `model`'s network, for good. Checkpoints lie in `folder`, from the last whole one of which an interrupted training goes on.

    The questions of an update pass through in parts of at most `batch_tokens` padded tokens (default: what suits the device), whose gradients add up to that of all;
    out of memory, the parts are halved.

    **Returns** the trained network (with its adapter) and the mean loss up to some of the updates. `teacher` is the dense model, which `how` may ask for. Raises
    `ModelError` when a single question does not fit in memory.
    """
    trl = library("trl")
    budget = model.batch_tokens() // HELD if batch_tokens is None else batch_tokens
    every = max(1, how.updates // (CHECKPOINTS * LOGGED))

    class Trainer(trl.SFTTrainer):  # type: ignore[misc]
        """The loss is computed at the answers' tokens alone, by the model's own head."""

        def training_step(self, network: Any, inputs: dict[str, Tensor], *_: Any) -> Tensor:
            nonlocal budget
            network.train()
            inputs = self._prepare_inputs(inputs)
            longest = int(inputs["attention_mask"].sum(1).max())
            while True:
                try:
                    return self._gradient(inputs)
                except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                    if not out_of_memory(error):
                        raise
                network.zero_grad()
                if budget <= longest:
                    raise ModelError(
                        f"Training on a single question of {longest} tokens does not fit in memory on {model.device}: use --method lora with --dtype bfloat16, or another --device."
                    )
                budget = max(longest, min(budget, inputs["input_ids"].numel()) // 2)
                note(f"Out of memory: going on with {budget} tokens at once. Set --batch-tokens {budget} next time.")

        def _gradient(self, inputs: dict[str, Tensor]) -> Tensor:
            """Add the gradient of the loss of a batch, part by part."""
            ids, labels, lengths = inputs["input_ids"], inputs["labels"], inputs["attention_mask"].sum(1)
            total, whole = (labels[:, 1:] != IGNORED).sum(), torch.zeros((), device=ids.device)
            for some, gold in parts(ids, labels, lengths, budget):
                share = (gold[:, 1:] != IGNORED).sum() / total
                part = share * loss(model, some, gold, teacher, how.distill)
                self.accelerator.backward(part)
                whole += part.detach()
            return whole

        def create_model_card(self, *_: Any, **__: Any) -> None:
            """A checkpoint of a training is nobody's model."""

    class Progress(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            report(what, state.global_step, how.updates)
            control.should_save &= state.global_step < how.updates  # a training that is resumed at its end would go on

    with quietly():
        settings = trl.SFTConfig(
            output_dir=str(folder), max_steps=max(1, how.updates), per_device_train_batch_size=how.batch, learning_rate=how.rate, weight_decay=0.0,
            lr_scheduler_type="linear", warmup_steps=round(WARMUP * how.updates), seed=seed, logging_steps=every, save_steps=every * LOGGED, save_total_limit=2,
            bf16=False, gradient_checkpointing=False, max_length=None, dataset_kwargs={"skip_prepare_dataset": True}, report_to="none", disable_tqdm=True,
            use_cpu=model.device.type == "cpu", dataloader_pin_memory=False,
        )  # fmt: skip
        rows = [{"input_ids": list(example.tokens), "labels": list(example.labels)} for example in examples]
        trainer = Trainer(
            model=model.network, args=settings, train_dataset=library("datasets").Dataset.from_list(rows), processing_class=model.tokenizer,
            data_collator=library("trl.trainer.sft_trainer").DataCollatorForLanguageModeling(pad_token_id=0), peft_config=_adapter(how), callbacks=[Progress()],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        if how.updates:
            with cache.disk_errors(folder):  # torch writes the checkpoints
                trainer.train(resume_from_checkpoint=_last(folder))
    losses = [(entry["step"], float(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry]
    trainer.model.eval()
    return trainer.model, losses


def parts(
    ids: Int[Tensor, "row position"], labels: Int[Tensor, "row position"], lengths: Int[Tensor, " row"], tokens: int
) -> Iterator[tuple[Int[Tensor, "some _"], Int[Tensor, "some _"]]]:
    """A batch as it is, or, where it has more than `tokens` padded tokens, rows of like lengths that have no more, each part as wide as its longest row."""
    if ids.numel() <= tokens:
        yield ids, labels
        return
    left = lengths.argsort(descending=True)
    while len(left):
        width = int(lengths[left[0]])
        some, left = left[: max(1, tokens // width)], left[max(1, tokens // width) :]
        yield ids[some, :width], labels[some, :width]


def loss(
    model: Model,
    ids: Int[Tensor, "row position"],
    labels: Int[Tensor, "row position"],
    teacher: Model,
    distill: float,
) -> Float[Tensor, ""]:
    """The mean over all answers' tokens of their negative log-probability, in nats, and by the weight `distill` in its place the divergence
    KL(teacher || model) over the vocabulary (Hinton et al. 2015, at temperature 1)."""
    read = labels[:, 1:] != IGNORED
    logits = answers(model, ids, read)
    found = functional.cross_entropy(logits, labels[:, 1:][read])
    if not distill:
        return found
    widened = (*teacher.anatomy.around_blocks, *teacher.anatomy.blocks)
    with torch.no_grad(), computing_in(teacher.anatomy.dtype, widened):
        target = answers(teacher, ids, read).log_softmax(-1)
    apart = functional.kl_div(logits.log_softmax(-1), target, log_target=True, reduction="batchmean")
    return (1 - distill) * found + distill * apart


def answers(
    model: Model, ids: Int[Tensor, "row position"], read: Bool[Tensor, "row earlier"]
) -> Float[Tensor, "n vocabulary"]:
    """The logits that predict the tokens after `read` positions. Padding is on the right, and causal attention keeps it from the tokens before it."""
    states = model.anatomy.backbone(input_ids=ids, use_cache=False).last_hidden_state
    unembedding = model.anatomy.unembedding
    return unembedding.vocabulary_logits(states[:, :-1][read].float(), 0, unembedding.vocabulary)


def _adapter(how: Training) -> Any:
    if how.method == "full":
        return None
    return library("peft").LoraConfig(
        r=how.rank, lora_alpha=2 * how.rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def _last(folder: Path) -> str | None:
    """The last checkpoint that was written to its end: its state comes last. What is not whole is removed."""
    found: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        try:
            found[json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]] = path
        except (OSError, ValueError):
            shutil.rmtree(path)
    return str(found[max(found)]) if found else None
