"""What a pruning path costs to choose: layercliff's search, exact and as a race, beside a loop and SLEB's pattern.

``python benchmarks/search.py --model gemma-3-270m --task cities`` walks half of the blocks away. At every step the
contenders take turns on the same questions, model, dtype and threads. The loop's candidates all cost the same, so that
a few of a step are timed (``--sample``) and scaled to all; SLEB's pattern is timed on some rows (``--sleb-rows``) of
the first step and scaled likewise. Scores and choices are compared.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gemm import gemm_seconds
from peer_search import Loop, OneByOne
from transformers.utils import logging

from layercliff import machine
from layercliff.models import loading
from layercliff.models.model import Model
from layercliff.models.surgery import pruned
from layercliff.pruning.criteria.answers import decision_margin
from layercliff.pruning.criterion_input import CriterionInput
from layercliff.pruning.iterative import IterativeSelector
from layercliff.pruning.objective import TaskObjective
from layercliff.pruning.step import Step
from layercliff.readout import encoded_task
from layercliff.readout.encoded_task import EncodingOptions
from layercliff.tasks import registry, splits

TARGETS = {
    "one step": 1.75,
    "path": 2.2,
    "race": 4.0,
    "sleb smollm2-135m": 15.0,
    "sleb gemma-3-270m": 30.0,
    "gemm": 0.65,
}


@dataclass
class Timed:
    """A contender's seconds and block passes at each step, and the blocks it removed."""

    seconds: list[float] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)


class Search:
    """layercliff's own choice, step by step."""

    def __init__(self, given: CriterionInput, part: encoded_task.EncodedTask) -> None:
        self.selector = IterativeSelector(given, [TaskObjective(part, decision_margin)])
        self.step = Step(tuple(range(given.model.n_layers)))
        self.timed = Timed()

    def choose(self) -> Step:
        """Take the next step and the time."""
        before, begin = self.selector.passes, time.perf_counter()
        step = self.selector.choose(self.step)
        assert step is not None
        self.timed.seconds.append(time.perf_counter() - begin)
        self.timed.passes.append(self.selector.passes - before)
        self.timed.removed += step.removed
        self.step = step
        return step


def load(arguments: argparse.Namespace) -> tuple[Model, encoded_task.EncodedTask]:
    """The model and the half of the questions that is selected on."""
    (task,) = registry.load(arguments.task, arguments.seed)
    questions, examples = splits.draw(task, arguments.seed, arguments.limit)
    model = loading.load(arguments.model, device="cpu")
    part = encoded_task.ask(
        model, task, arguments.format or task.default_format, questions, examples, EncodingOptions(seed=arguments.seed)
    )
    return model, part.of("select")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Walk the paths. **Returns** everything measured."""
    model, part = load(arguments)
    steps = arguments.steps or model.n_layers // 2
    budget = model.batch_tokens()

    def given(race: float | None) -> CriterionInput:
        return CriterionInput(
            model, (part,), (), (), steps, arguments.seed, budget, int(arguments.memory_gb * 2**30), race
        )

    exact, race = Search(given(None), part), Search(given(arguments.race), part)
    loop, looped = Loop(model, part.form, part.rows, budget), Timed()
    own = sum(batch.padded_tokens for batch in part.batches(budget))
    print(
        f"{arguments.model}, {part.task.name} ({part.form}): {len(part.questions)} questions, "
        f"{len(part.rows)} rows; tokens per block pass {own} (shared) and {loop.tokens} (loop); "
        f"{steps} of {model.n_layers} blocks; {model.dtype}, {torch.get_num_threads()} threads"
    )
    print(
        f"  {'step':>4}{'removed':>9}{'race':>6}{'exact s':>9}{'race s':>8}{'loop s':>9}{'exact x':>9}{'race x':>8}"
        f"{'passes: exact':>15}{'race':>6}{'loop':>7}{'score diff':>12}"
    )
    differences: list[float] = []
    for number in range(1, steps + 1):
        kept = exact.step.kept
        sample = _spread(kept, arguments.sample)
        before, after = sample[: (len(sample) + 1) // 2], sample[(len(sample) + 1) // 2 :]
        found = [_timed(partial(_without, loop, kept, block)) for block in before]
        step = exact.choose()
        race.choose()
        found += [_timed(partial(_without, loop, kept, block)) for block in after]
        looped.seconds.append(statistics.mean(seconds for seconds, _ in found) * len(kept))
        looped.passes.append(len(kept) * (len(kept) - 1))
        scored = {
            block: float(TaskObjective(part, decision_margin).values(readings)[0].mean())
            for block, (_, readings) in zip(sample, found, strict=True)
        }
        difference = max(abs(score - step.scores[block]) for block, score in scored.items())
        if len(scored) == len(kept):
            looped.removed.append(max(scored, key=scored.__getitem__))
        differences.append(difference)
        print(_line(number, exact.timed, race.timed, looped, difference), flush=True)
    result: dict[str, Any] = {
        "model": arguments.model, "task": part.task.name, "form": part.form,
        "questions": len(part.questions), "steps": steps, "n_layers": model.n_layers,
        "tokens_shared": own, "tokens_loop": loop.tokens, "sample": arguments.sample, "race_error": arguments.race,
        "memory_gb": arguments.memory_gb, "threads": torch.get_num_threads(), "dtype": model.dtype,
        "exact": asdict(exact.timed), "race": asdict(race.timed), "loop": asdict(looped),
        "largest_score_difference": max(differences),
        "peak_memory_bytes": machine.peak_memory_bytes(), "versions": machine.versions(),
    }  # fmt: skip
    _keep(result, arguments.out)
    if not arguments.no_gemm:
        result["gemm_share"] = _gemm_share(given(None), part)
        _keep(result, arguments.out)
    if arguments.sleb_rows:
        result |= _sleb(model, part, arguments.sleb_rows, given(None))
        _keep(result, arguments.out)
    return result


def _keep(result: dict[str, Any], file: Path | None) -> None:
    """Write what is measured so far."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n")


def _line(number: int, exact: Timed, race: Timed, loop: Timed, difference: float) -> str:
    mine, raced, theirs = exact.seconds[-1], race.seconds[-1], loop.seconds[-1]
    return (
        f"  {number:>4}{exact.removed[-1]:>9}{race.removed[-1]:>6}{mine:>9.2f}{raced:>8.2f}{theirs:>9.1f}"
        f"{theirs / mine:>9.2f}{theirs / raced:>8.2f}"
        f"{exact.passes[-1]:>15}{race.passes[-1]:>6}{loop.passes[-1]:>7}{difference:>12.1e}"
    )


def _without(loop: Loop, kept: Sequence[int], block: int) -> Any:
    return loop.score([index for index in kept if index != block])


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = call()
    return time.perf_counter() - begin, found


def _spread(blocks: Sequence[int], wanted: int) -> list[int]:
    """So many of the blocks, evenly over the depth; all for 0."""
    if wanted == 0 or wanted >= len(blocks):
        return list(blocks)
    return [blocks[(2 * place + 1) * len(blocks) // (2 * wanted)] for place in range(wanted)]


def _gemm_share(given: CriterionInput, part: encoded_task.EncodedTask) -> dict[str, float]:
    """The time that a first step's matrix products take alone, at their own shapes, over the time of the step."""
    selector = IterativeSelector(given, [TaskObjective(part, decision_margin)])
    dense = Step(tuple(range(given.model.n_layers)))
    shares = []
    for _ in range(3):
        before = gemm_seconds(given.model, part, given.batch_tokens)
        selector = IterativeSelector(given, [TaskObjective(part, decision_margin)])
        begin = time.perf_counter()
        selector.choose(dense)
        seconds = time.perf_counter() - begin
        after = gemm_seconds(given.model, part, given.batch_tokens)
        shares.append((before + after) / 2 / seconds)
    return {"share": statistics.median(shares), "least": min(shares), "greatest": max(shares)}


def _sleb(model: Model, part: encoded_task.EncodedTask, rows: int, given: CriterionInput) -> dict[str, Any]:
    """The first step in SLEB's pattern, timed on `rows` of its rows without one block, beside the exact step."""
    pattern = OneByOne(model, part.form)
    chosen = [part.rows[(2 * at + 1) * len(part.rows) // (2 * rows)] for at in range(min(rows, len(part.rows)))]
    dense = tuple(range(model.n_layers))
    seconds = []
    for half in (chosen[::2], chosen[1::2]):
        with pruned(model.network, dense[:-1]):
            pattern.score(half[0])
            seconds += [_timed(partial(pattern.score, row))[0] for row in half]
        if half is not chosen[1::2]:
            exact, _ = _timed(
                lambda: IterativeSelector(given, [TaskObjective(part, decision_margin)]).choose(Step(dense))
            )
    whole = statistics.mean(seconds) * len(part.rows) * model.n_layers
    return {"sleb": {"rows_timed": len(seconds), "seconds": whole, "exact_seconds": exact, "ratio": whole / exact}}


def summary(result: dict[str, Any]) -> str:
    """The ratios beside what they have to reach."""
    exact, race, loop = result["exact"], result["race"], result["loop"]
    first = loop["seconds"][0] / exact["seconds"][0]
    path, raced = (sum(loop["seconds"]) / sum(one["seconds"]) for one in (exact, race))
    whole = f"; the loop: {loop['removed']}" if loop["removed"] else ""
    lines = [
        f"one step, exact: {first:.2f}x the loop's speed "
        f"({exact['passes'][0]} and {loop['passes'][0]} block passes) {_met(first, 'one step')}",
        f"path of {result['steps']} steps, exact: {path:.2f}x ({sum(exact['passes'])} and {sum(loop['passes'])} "
        f"block passes, {result['memory_gb']} GB for states, peak {result['peak_memory_bytes'] / 2**30:.2f} GB) "
        f"{_met(path, 'path')}",
        f"path, race {result['race_error']}: {raced:.2f}x ({sum(race['passes'])} block passes of smaller batches) "
        f"{_met(raced, 'race')}",
        f"removed, exact: {exact['removed']}; race: {race['removed']}{whole}; "
        f"the same set: {set(exact['removed']) == set(race['removed'])}",
        f"largest difference of a score to the loop's: {result['largest_score_difference']:.1e}",
    ]
    if "gemm_share" in result:
        share = result["gemm_share"]
        lines.append(
            f"matrix products alone over a step: {share['share']:.2f} ({share['least']:.2f} - {share['greatest']:.2f}) "
            f"{_met(share['share'], 'gemm')}"
        )
    if "sleb" in result:
        found = result["sleb"]
        lines.append(
            f"SLEB's pattern, one step: {found['ratio']:.1f}x ({found['rows_timed']} rows timed) "
            f"{_met(found['ratio'], 'sleb ' + result['model'])}"
        )
    return "\n".join(f"  {line}" for line in lines)


def _met(found: float, target: str) -> str:
    if target not in TARGETS:
        return ""
    return f"[target {TARGETS[target]}: {'met' if found >= TARGETS[target] else 'missed'}]"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="gemma-3-270m", help="a packaged name, directory or hub id")
    parser.add_argument("--task", default="cities", help="one task")
    parser.add_argument("--format", choices=["first_token", "letter", "cloze"], help="default: the task's own")
    parser.add_argument("--limit", type=int, help="questions, of which half are selected on (default: all)")
    parser.add_argument("--steps", type=int, help="blocks to remove (default: half)")
    parser.add_argument("--race", type=float, default=0.05, help="the error allowed to the race")
    parser.add_argument("--memory-gb", type=float, default=4.0, help="for states")
    parser.add_argument("--sample", type=int, default=2, help="candidates of the loop timed per step; 0: all")
    parser.add_argument("--sleb-rows", type=int, default=40, help="rows timed in SLEB's pattern; 0: leave it out")
    parser.add_argument(
        "--no-gemm", action="store_true", help="leave the matrix products alone out: six times a first step"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="torch's threads")
    parser.add_argument("--out", type=Path, help="a JSON file for everything measured")
    return parser.parse_args()


def main() -> None:
    """Print a line per step and the ratios."""
    arguments = parse()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    result = run(arguments)
    print(summary(result))


if __name__ == "__main__":
    main()
