"""Trace where a model decides: option scores at every depth, and what they say."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff import limits, machine
from layercliff.analyses.trace import result as results
from layercliff.analyses.trace.result import Traced
from layercliff.choices import DType, Format, Normalisation, OptionMass, Sampler
from layercliff.metrics.analysis import analyse
from layercliff.metrics.statistics import RESAMPLES
from layercliff.models.model import Model
from layercliff.progress import Note, Report, mute, silent
from layercliff.readout.trace import Trace
from layercliff.report import page
from layercliff.run.directory import JOURNAL, Journal, RunDirectory
from layercliff.run.passes import Pass
from layercliff.run.resolved import Setting
from layercliff.tasks.question import Task


def trace(
    model: str | Model | PreTrainedModel,
    task: str | Task | Sequence[Task],
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    format: Format | None = None,
    shots: int = 0,
    sampler: Sampler = "fixed",
    limit: int | None = None,
    seed: int = 0,
    dtype: DType | None = None,
    weights_dtype: DType | None = None,
    device: str = "auto",
    normalisation: Normalisation = "char",
    chat: bool = False,
    option_mass: OptionMass = "last",
    batch_tokens: int | None = None,
    trust_remote_code: bool = False,
    skip_bad_rows: bool = False,
    out: str | Path | None = None,
    resume: bool = True,
    report: Report = silent,
    note: Note = mute,
) -> Traced:
    """Read the options' scores of every question at every depth, and find where the decision forms.

    `model` is a packaged short name, a directory, a ``.gguf`` file, a hub id, or a loaded network (with its `tokenizer`).
    `task` is a name, several joined by commas, a file of questions, or `Task` objects. `format` is ``letter``, ``cloze`` or
    ``first_token`` (default: each task's own), `shots` the number of worked examples, which `sampler` chooses, `limit` cuts each task after a shuffle by
    `seed`. `dtype` (default float32, or a loaded network's own) is what blocks compute in, `weights_dtype` what weights are
    stored in. `option_mass` says at which depths the options' share of the whole vocabulary is computed: it multiplies
    the whole head.

    With `out`, results are kept in that run directory: an interrupted trace goes on where it stopped, a finished one is read; without `resume`,
    both are removed first.

    **Returns** a `Traced`. Raises `LayercliffError` (model, task or directory that cannot be used), in one sentence.
    """
    begin = time.perf_counter()
    limits.check(batch_tokens=batch_tokens)
    setting = Setting.of(
        model, task, tokenizer=tokenizer, format=format, shots=shots, sampler=sampler, limit=limit, seed=seed, dtype=dtype,
        weights_dtype=weights_dtype, normalisation=normalisation, chat=chat, skip_bad_rows=skip_bad_rows, report=report,
    )  # fmt: skip
    with ExitStack() as stack:
        run = journal = None
        if out is not None:
            run = RunDirectory(Path(out))
            stack.enter_context(run.lock())
            run.claim(setting.subject)
            if not resume:
                run.forget(results.FOLDER)
            if (kept := results.read(run)) is not None and kept.cost["option_mass"] == option_mass:
                note(f"{run.path} holds this trace already; it is read, not computed again.")
                run.settle(results.FOLDER)
                page.write(run)
                return kept
            journal = stack.enter_context(Journal(run.path / results.FOLDER / JOURNAL))
        loaded = setting.load(device, trust_remote_code, report)
        reading = Pass(loaded, setting.subject, journal, report, note, option_mass=option_mass)
        parts = reading.readings(setting.ask(loaded), loaded.batch_tokens(batch_tokens))
        joined = Trace.joined([part.trace(readings) for part, readings in parts])
        cost = {
            "device": str(loaded.device),
            "option_mass": option_mass,
            **reading.cost(),
            "seconds": round(time.perf_counter() - begin, 2),
            "peak_memory_bytes": machine.peak_memory_bytes(),
            "versions": machine.versions(),
        }
        traced = Traced(setting.subject, joined, analyse(joined, RESAMPLES, seed), cost)
        if run is not None and journal is not None:
            results.write(run, traced)
            journal.remove()
            page.write(run)
    return traced
