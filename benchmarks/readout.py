"""What reading options at every depth costs: beside a plain forward pass, and beside other tools.

``python benchmarks/readout.py`` compares with the plain forward pass; ``--peers-python PATH`` adds the tools of
``peers.txt``, installed for that Python.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peer_readout import READERS, interleaved
from torch import Tensor, nn
from transformers import AutoTokenizer
from transformers.utils import logging

from layercliff.models import loading, lookup
from layercliff.models.model import DEFAULT_BATCH_TOKENS, Model
from layercliff.models.unembedding import VOCABULARY_CHUNK, Unembedding
from layercliff.readout import batches as planning
from layercliff.readout import encode
from layercliff.readout.batches import Batch
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.tasks import prompts, registry, splits
from layercliff.tasks.prompts import Prompt

TARGET = 1.05  # the readout may take so many times the plain forward pass
PEER_SECONDS = 600  # a peer that takes longer is stopped
ARITHMETIC_TARGET = 1.2  # in cloze, where the whole head is wanted at every depth: times the matrix products alone
PLAIN, NONE, LAST = "plain forward pass", "readout, option_mass none", "readout, option_mass last"
ARITHMETIC = "matrix products alone"


@dataclass(frozen=True)
class Workload:
    """One task in one format as batches of a model's tokens; `prompts` by question."""

    model: str
    directory: str
    task: str
    form: str
    prompts: tuple[Prompt, ...]
    batches: tuple[Batch, ...]

    @property
    def rows(self) -> int:
        return sum(len(batch.rows) for batch in self.batches)

    @property
    def tokens(self) -> int:
        return sum(len(row.tokens) for batch in self.batches for row in batch.rows)

    @property
    def padded_tokens(self) -> int:
        return sum(batch.padded_tokens for batch in self.batches)

    def describe(self) -> str:
        return (
            f"{self.model}, {self.task}, {self.form}: {self.rows} prompts in {len(self.batches)} batches, "
            f"{self.tokens} tokens ({self.padded_tokens} with padding)"
        )


@dataclass(frozen=True)
class CountingUnembedding(Unembedding):
    """Counts rows of the head that are multiplied, once per state they are multiplied with."""

    counts: list[int] = field(default_factory=list)

    def tokens(self, normed: Tensor, tokens: Tensor) -> Tensor:
        """Count `k` rows per state."""
        found = super().tokens(normed, tokens)
        self.counts.append(found.numel())
        return found

    def vocabulary_logits(self, normed: Tensor, start: int, stop: int) -> Tensor:
        """Count ``stop - start`` rows per state."""
        found = super().vocabulary_logits(normed, start, stop)
        self.counts.append(found.numel())
        return found


def workload(name: str, task_name: str, form: str, limit: int | None, seed: int = 0) -> Workload:
    """Encode a task for a model without loading its weights."""
    located = lookup.locate(name)
    (task,) = registry.load(task_name, seed)
    questions, examples = splits.draw(task, seed, limit)
    asked = tuple(prompts.ask(task, question, form, shots) for question, shots in zip(questions, examples, strict=True))
    encoded = encode.encode(asked, form, AutoTokenizer.from_pretrained(located.location))
    batches = planning.plan(encoded.rows, DEFAULT_BATCH_TOKENS["cpu"])
    if not batches:
        sys.exit(f"No question of {task_name} can be asked as {form} of {name}: use another --format.")
    return Workload(name, located.location, task_name, form, asked, batches)


def time_readout(model: Model, work: Workload, repeats: int) -> dict[str, list[float]]:
    """Seconds of the plain forward pass and of the readout with and without option mass, taking turns on each batch.

    In *cloze* also of the plain pass and the head's matrix products at every depth.
    """
    lens = LogitLens(model.anatomy.unembedding)
    none, last = (Reader(model, lens, work.form, option_mass=mass) for mass in ("none", "last"))
    ids = [batch.levels(model.device)[0].ids for batch in work.batches]

    def plain(at: int) -> None:
        with torch.inference_mode():
            model.anatomy.backbone(input_ids=ids[at], use_cache=False)

    contenders = {
        PLAIN: plain,
        NONE: lambda at: none.read(work.batches[at]),
        LAST: lambda at: last.read(work.batches[at]),
    }
    if work.form == "cloze":
        contenders[ARITHMETIC] = lambda at: (plain(at), products(model, work.batches[at]))
    return interleaved(contenders, len(work.batches), repeats)


@torch.inference_mode()
def products(model: Model, batch: Batch) -> None:
    """Multiply the whole head with as many states as *cloze* reads in a batch, at every depth; the logits go unused."""
    states = {
        (sequence, place)
        for row, (sequence, path) in zip(batch.rows, batch.places, strict=True)
        for place in path[-len(row.targets) :]
    }
    weight = model.anatomy.unembedding.head.weight
    normed = torch.ones(len(states), weight.shape[1])
    for _ in range(model.n_layers + 1):
        for chunk in weight.split(VOCABULARY_CHUNK):
            normed @ chunk.T


def count_readout(model: Model, work: Workload, option_mass: str) -> tuple[int, int]:
    """Blocks run and rows of the head multiplied by one readout of all batches, counted as they happen."""
    own = model.anatomy.unembedding
    counting = CountingUnembedding(own.final_norm, own.head, own.logit_scale, own.softcap)
    reader = Reader(model, LogitLens(counting), work.form, option_mass=option_mass)
    passes: list[int] = []
    with ExitStack() as stack:
        for block in model.anatomy.blocks:
            stack.enter_context(_counting(block, passes))
        for batch in work.batches:
            reader.read(batch)
    return len(passes), sum(counting.counts)


@contextmanager
def _counting(block: nn.Module, passes: list[int]) -> Iterator[None]:
    """Note every run of `block`: of its own forward, which a hook on the module would not tell from a stand-in's."""
    forward = block.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(1)
        return forward(*args, **kwargs)

    block.forward = counted
    try:
        yield
    finally:
        del block.forward


def ratios(seconds: dict[str, list[float]], name: str, base: str) -> list[float]:
    """Pairwise ratios, one per repeat."""
    return [mine / other for mine, other in zip(seconds[name], seconds[base], strict=True)]


def print_readout(model: Model, work: Workload, repeats: int) -> None:
    """The first table: the readout beside the plain forward pass."""
    seconds = time_readout(model, work, repeats)
    whole = work.rows * (model.n_layers + 1) * model.anatomy.unembedding.vocabulary
    print(f"\n{work.describe()}")
    print(f"  {'':<28}{'seconds':>9}  {'ratio':>6}  {'min - max':<15}{'block passes':>13}{'head rows':>15}")
    blocks = model.n_layers * len(work.batches)
    print(f"  {PLAIN:<28}{statistics.median(seconds[PLAIN]):>9.3f}  {1:>6.3f}  {'':<15}{blocks:>13}{0:>15,}")
    for name, mass in ((NONE, "none"), (LAST, "last")):
        found, (passes, rows) = ratios(seconds, name, PLAIN), count_readout(model, work, mass)
        spread = f"{min(found):.3f} - {max(found):.3f}"
        median = statistics.median(found)
        print(
            f"  {name:<28}{statistics.median(seconds[name]):>9.3f}  {median:>6.3f}  {spread:<15}{passes:>13}{rows:>15,}"
        )
    if work.form == "cloze":
        median = statistics.median(ratios(seconds, NONE, ARITHMETIC))
        print(f"  {ARITHMETIC:<28}{statistics.median(seconds[ARITHMETIC]):>9.3f}")
        print(
            f"  target beside them, at most {ARITHMETIC_TARGET}: "
            f"{'met' if median <= ARITHMETIC_TARGET else 'missed'} ({median:.3f})"
        )
        return
    print(f"  (the whole head at every depth: {whole:,} head rows)")
    median = statistics.median(ratios(seconds, NONE, PLAIN))
    print(f"  target for option_mass none, at most {TARGET}: {'met' if median <= TARGET else 'missed'} ({median:.3f})")


def request(work: Workload, repeats: int) -> dict[str, Any]:
    """What a peer's process is told. Options are made equally many by repeating the first, which changes no argmax."""
    widest = max(len(row.targets) for batch in work.batches for row in batch.rows)
    return {
        "directory": work.directory,
        "form": work.form,
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "batches": [
            [
                {
                    "text": work.prompts[row.question].text,
                    "tokens": row.tokens,
                    "targets": row.targets + row.targets[:1] * (widest - len(row.targets)),
                }
                for row in batch.rows
            ]
            for batch in work.batches
        ],
    }


def run_reader(name: str, python: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Run a reader in a process of its own, offline. **Returns** its answer, with `error` where it failed."""
    with TemporaryDirectory() as folder:
        asked, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        asked.write_text(json.dumps(wanted))
        command = [python, str(Path(__file__).with_name("peer_readout.py")), name, str(asked), str(answer)]
        offline = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        try:
            done = subprocess.run(command, env=offline, capture_output=True, timeout=PEER_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return {"error": f"stopped after {PEER_SECONDS} seconds"}
        if not answer.exists():
            return {"error": f"the process ended with code {done.returncode}"}
        found: dict[str, Any] = json.loads(answer.read_text())
        return found


def choices(answer: dict[str, Any], depth: int) -> list[int]:
    """The highest-scored option of every prompt at an index of the answer's depths."""
    return [row.index(max(row)) for batch in answer["scores"] for row in batch[depth]]


def agreement(mine: dict[str, Any], other: dict[str, Any], first_depth: int) -> tuple[float, float]:
    """Share of prompts with the same highest-scored option: at the last depth, and over all depths both have read."""
    depths = len(mine["scores"][0])
    same = [
        [a == b for a, b in zip(choices(mine, depth), choices(other, depth - first_depth), strict=True)]
        for depth in range(first_depth, depths)
    ]
    return statistics.mean(same[-1]), statistics.mean(agrees for depth in same for agrees in depth)


def print_peers(work: Workload, repeats: int, python: str) -> None:
    """The second table: layercliff and the peers, each in a process of its own on the same batches."""
    wanted = request(work, repeats)
    print(f"\n{work.describe()}; each tool in a process of its own, {repeats} repeats")
    print(
        f"  {'reader':<24}{'scores over':<12}{'read s':>8}{'plain s':>9}{'ratio':>7}{'peak MiB':>10}"
        f"{'time x':>8}{'memory x':>10}{'same last':>11}{'same all':>10}"
    )
    answers: dict[str, dict[str, Any]] = {}
    for name, kind in READERS.items():
        own = kind.package == "layercliff"
        answer = answers[name] = run_reader(name, sys.executable if own else python, wanted)
        if "error" in answer:
            about = answer.get("versions", {}).get(kind.package, "")
            print(f"  {name:<24}{kind.package} {about} could not run: {answer['error']}")
            if name == "layercliff":
                return
            continue
        print(_peer_line(name, answer, answers["layercliff"]))
    _print_about(answers)


def _peer_line(name: str, answer: dict[str, Any], base: dict[str, Any]) -> str:
    kind = READERS[name]
    ratio, base_ratio = (statistics.median(ratios(one["seconds"], "read", "plain")) for one in (answer, base))
    last, everywhere = agreement(base, answer, kind.first_depth)
    read, plain = (statistics.median(answer["seconds"][what]) for what in ("read", "plain"))
    return (
        f"  {name:<24}{kind.over:<12}{read:>8.3f}{plain:>9.3f}{ratio:>7.2f}{answer['peak_bytes'] / 2**20:>10.0f}"
        f"{ratio / base_ratio:>8.2f}"
        f"{answer['peak_bytes'] / base['peak_bytes']:>10.2f}{last:>11.1%}{everywhere:>10.1%}"
    )


def _print_about(answers: dict[str, dict[str, Any]]) -> None:
    for name, answer in answers.items():
        if "error" not in answer:
            listed = ", ".join(f"{package} {number}" for package, number in answer["versions"].items())
            print(f"    {name}: {READERS[name].does} ({listed})")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=["smollm2-135m"], help="packaged names, directories or hub ids")
    parser.add_argument("--task", default="capitals", help="one task")
    parser.add_argument(
        "--format", nargs="+", default=["first_token", "letter"], choices=["first_token", "letter", "cloze"]
    )
    parser.add_argument("--limit", type=int, default=64, help="questions beside the plain forward pass")
    parser.add_argument("--repeats", type=int, default=5, help="repeats beside the plain forward pass")
    parser.add_argument("--peers-python", help="the Python that the peers are installed for (default: no peers)")
    parser.add_argument("--peer-limit", type=int, default=16, help="questions beside the peers")
    parser.add_argument("--peer-repeats", type=int, default=3, help="repeats beside the peers")
    parser.add_argument("--threads", type=int, help="torch's threads (1 is steadiest where other work runs)")
    return parser.parse_args()


def main() -> None:
    """Print both tables for every model and format."""
    arguments = parse()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in arguments.model:
        model = loading.load(name, device="cpu")
        for form in arguments.format:
            print_readout(model, workload(name, arguments.task, form, arguments.limit), arguments.repeats)
        del model
        for form in arguments.format if arguments.peers_python else ():
            if form == "cloze":
                continue  # no peer reads continuations
            work = workload(name, arguments.task, form, arguments.peer_limit)
            print_peers(work, arguments.peer_repeats, arguments.peers_python)


if __name__ == "__main__":
    main()
