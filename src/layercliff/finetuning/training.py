"""Supervised fine-tuning of a pruned model on right answers, with peft and trl."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from layercliff.progress import Note, Report, mute, silent

RATES: Mapping[choices.TrainingMethod, float] = {"lora": 5e-4, "full": 5e-5}
WARMUP = 0.1  # share of the updates over which the rate rises; then it falls to 0 along a line
CHECKPOINTS = 5  # of a training
LOGGED = 4  # losses between two checkpoints
HELD = 4
"""Times fewer tokens pass through at once than are read at once: what every layer computed is held for the way back."""


@dataclass(frozen=True)
class Training:
    """How models are trained: AdamW, `updates` of `batch` questions each.

    `rank` is that of the LoRA matrices. `distill` is the weight of the divergence from the dense model's distribution
    at the answer's tokens. The rest is the answer's own loss. Raises `RunError` for what cannot be.
    """

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


@dataclass(frozen=True)
class Progress:
    """What is told of a training: updates of `what` to `report`, and remarks to `note`."""

    what: str = ""
    report: Report = silent
    note: Note = mute


def train(
    model: Model,
    teacher: Model,
    examples: Sequence[Example],
    how: Training,
    seed: int,
    folder: Path,
    progress: Progress = Progress(),
    batch_tokens: int | None = None,
) -> tuple[Any, list[tuple[int, float]]]:
    """Train `model`'s network, for good. `teacher` is the dense model, whose distribution `how` may ask for.

    Checkpoints lie in `folder`, from the last whole one of which an interrupted training goes on. The questions of an
    update pass through in parts of at most `batch_tokens` padded tokens (default: what suits the device), whose
    gradients add up to that of all. Out of memory, the parts are halved.

    Returns:
        The trained network (with its adapter) and the mean loss up to some of the updates.

    Raises:
        ModelError: When a single question does not fit in memory.
    """
    budget = model.batch_tokens() // HELD if batch_tokens is None else batch_tokens
    rows = [{"input_ids": list(example.tokens), "labels": list(example.labels)} for example in examples]
    with quietly():
        trainer: Any = type("Trainer", (_Partwise, library("trl").SFTTrainer), {})(
            model=model.network,
            args=_arguments(how, seed, folder, model.device),
            train_dataset=library("datasets").Dataset.from_list(rows),
            processing_class=model.tokenizer,
            data_collator=library("trl.trainer.sft_trainer").DataCollatorForLanguageModeling(pad_token_id=0),
            peft_config=_adapter(how),
            callbacks=[_ReportUpdates(progress, how.updates)],
        )
        trainer.gradients = _Gradients(model, teacher, how.distill, progress.note, budget)
        trainer.remove_callback(PrinterCallback)
        if how.updates:
            with cache.disk_errors(folder):  # torch writes the checkpoints
                trainer.train(resume_from_checkpoint=_last(folder))
    losses = [(entry["step"], float(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry]
    trainer.model.eval()
    return trainer.model, losses


def _arguments(how: Training, seed: int, folder: Path, device: torch.device) -> Any:
    """The settings of the trainer."""
    every = max(1, how.updates // (CHECKPOINTS * LOGGED))
    return library("trl").SFTConfig(
        output_dir=str(folder),
        max_steps=max(1, how.updates),
        per_device_train_batch_size=how.batch,
        learning_rate=how.rate,
        weight_decay=0.0,
        lr_scheduler_type="linear",
        warmup_steps=round(WARMUP * how.updates),
        seed=seed,
        logging_steps=every,
        save_steps=every * LOGGED,
        save_total_limit=2,
        bf16=False,
        gradient_checkpointing=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        report_to="none",
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=False,
    )


class _Partwise:
    """A trainer whose loss is computed at the answers' tokens alone, part by part, by the model's own head."""

    gradients: "_Gradients"
    accelerator: Any
    _prepare_inputs: Any

    def training_step(self, network: Any, inputs: dict[str, Tensor], *_: Any) -> Tensor:
        network.train()
        return self.gradients.add(self._prepare_inputs(inputs), network, self.accelerator.backward)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """A checkpoint of a training is nobody's model."""


@dataclass
class _Gradients:
    """Gradients of batches, in parts of at most `budget` tokens. Out of memory, these are halved."""

    model: Model
    teacher: Model
    distill: float
    note: Note
    budget: int

    def add(self, inputs: dict[str, Tensor], network: Any, backward: Callable[[Tensor], None]) -> Tensor:
        """Add the gradient of a batch's loss to those of the network. **Returns** the loss."""
        longest = int(inputs["attention_mask"].sum(1).max())
        while True:
            try:
                return self._added(inputs, backward)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
            network.zero_grad()
            self._halve(longest, inputs["input_ids"].numel())

    def _added(self, inputs: dict[str, Tensor], backward: Callable[[Tensor], None]) -> Tensor:
        ids, labels, lengths = inputs["input_ids"], inputs["labels"], inputs["attention_mask"].sum(1)
        total, whole = (labels[:, 1:] != IGNORED).sum(), torch.zeros((), device=ids.device)
        for some, gold in parts(ids, labels, lengths, self.budget):
            share = (gold[:, 1:] != IGNORED).sum() / total
            part = share * loss(self.model, some, gold, self.teacher, self.distill)
            backward(part)
            whole += part.detach()
        return whole

    def _halve(self, longest: int, tokens: int) -> None:
        if self.budget <= longest:
            raise ModelError(
                f"Training on a single question of {longest} tokens does not fit in memory on {self.model.device}: use "
                "--how lora with --dtype bfloat16, or another --device."
            )
        self.budget = max(longest, min(self.budget, tokens) // 2)
        self.note(
            f"Out of memory: going on with {self.budget} tokens at once. Set --batch-tokens {self.budget} next time."
        )


class _ReportUpdates(TrainerCallback):
    def __init__(self, progress: Progress, updates: int) -> None:
        self._progress, self._updates = progress, updates

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress.report(self._progress.what, state.global_step, self._updates)
        control.should_save &= state.global_step < self._updates  # one that is resumed at its end would go on


def parts(
    ids: Int[Tensor, "row position"], labels: Int[Tensor, "row position"], lengths: Int[Tensor, " row"], tokens: int
) -> Iterator[tuple[Int[Tensor, "some _"], Int[Tensor, "some _"]]]:
    """A batch in parts of at most `tokens` padded tokens, or whole where it has no more.

    Rows of like lengths go together, each part as wide as its longest row.
    """
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
    """The mean over all answers' tokens of their negative log-probability, in nats.

    By the weight `distill` the divergence KL(teacher || model) over the vocabulary takes its place (Hinton et al. 2015,
    at temperature 1).
    """
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
    """The logits that predict the tokens after `read` positions.

    Padding is on the right, and causal attention keeps it from the tokens before it.
    """
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
