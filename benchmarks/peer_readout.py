"""One tool in one process: its time for option scores at every depth and for a plain forward pass, its peak memory.

``readout.py`` runs this file once per reader, with the Python that has the reader's package installed:
``python peer_readout.py READER request.json answer.json``. Of layercliff only the `layercliff` readers import anything.
"""

import argparse
import json
import platform
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Batch = list[dict[str, Any]]  # rows with `text`, `tokens` (ids of the text), `targets` (one token id per option)
Scores = list[list[list[float]]]  # [depth, row, option]

SLOW_SECONDS = 10  # a reader that takes longer for all batches is timed once only


class Reader(ABC):
    """A tool's way to option scores at every depth: `load`, then `read` of each batch.

    `package` is the distribution that has to be installed, `does` says how the tool is used, `over` what its scores
    are normalised over, `first_depth` the first depth it reads (0: what the first block receives).
    """

    package: str
    does: str
    over: str
    first_depth = 0

    @abstractmethod
    def load(self, directory: str, form: str) -> None:
        """Load the model of a local directory in float32, ready to `read` batches of the format `form`."""

    @abstractmethod
    def read(self, batch: Batch) -> Any:
        """Option scores of `batch`, an array ``[depth, row, option]``: logits, log-probabilities or probabilities."""


class Layercliff(Reader):
    """layercliff's readout: only the options' rows of the head are multiplied."""

    package = "layercliff"
    does = "Reader.read, option_mass none"
    over = "options"
    option_mass = "none"

    def load(self, directory: str, form: str) -> None:
        from layercliff.models import loading
        from layercliff.readout.lens import LogitLens
        from layercliff.readout.read import Reader as OptionReader

        model = loading.load(directory, device="cpu")
        self.reader = OptionReader(model, LogitLens(model.anatomy.unembedding), form, option_mass=self.option_mass)

    def read(self, batch: Batch) -> Any:
        from layercliff.readout.batches import Batch as Rows
        from layercliff.readout.encode import TokenRow

        rows = tuple(TokenRow(at, None, tuple(row["tokens"]), tuple(row["targets"])) for at, row in enumerate(batch))
        return self.reader.read(Rows(rows)).scores


class LayercliffVocabulary(Layercliff):
    """layercliff with the whole vocabulary's softmax at every depth."""

    does = "Reader.read, option_mass all"
    over = "vocabulary"
    option_mass = "all"


class Nnterp(Reader):
    """nnterp's probabilities after each block (it does not read what the first block receives)."""

    package = "nnterp"
    does = "run_prompts(get_probs_func=logit_lens)"
    over = "vocabulary"
    first_depth = 1

    def load(self, directory: str, form: str) -> None:
        import torch
        from nnterp import StandardizedTransformer

        self.model = StandardizedTransformer(directory, device_map="cpu", dtype=torch.float32)

    def read(self, batch: Batch) -> Any:
        import torch
        from nnterp.interventions import logit_lens
        from nnterp.prompt_utils import Prompt, run_prompts

        prompts = [Prompt(row["text"], {str(k): [token] for k, token in enumerate(row["targets"])}) for row in batch]
        found = run_prompts(self.model, prompts, get_probs_func=logit_lens, tqdm=lambda steps, **_: steps)
        return torch.stack([found[str(k)].T for k in range(len(found))], dim=-1)


class TunedLensTrajectory(Reader):
    """tuned-lens's prediction trajectory: one prompt at a time, every position, the whole vocabulary."""

    package = "tuned-lens"
    does = "PredictionTrajectory.from_lens_and_model"
    over = "vocabulary"

    def load(self, directory: str, form: str) -> None:
        # tuned-lens 0.2.0 looks for a class that TransformerLens 4 no longer has; without TransformerLens it works.
        sys.modules["transformer_lens"] = None  # type: ignore[assignment]
        from transformers import AutoTokenizer
        from tuned_lens.nn.lenses import LogitLens

        self.model = load_network(directory)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.lens = LogitLens.from_model(self.model)

    def read(self, batch: Batch) -> Any:
        import numpy as np
        from tuned_lens.plotting import PredictionTrajectory

        found = []
        for row in batch:
            run = PredictionTrajectory.from_lens_and_model(self.lens, self.model, row["tokens"], self.tokenizer)
            found.append(run.log_probs[:, -1][:, row["targets"]])
        return np.stack(found, axis=1)


class TunedLensLast(TunedLensTrajectory):
    """tuned-lens's logit lens called by hand on the last position of each prompt, in batches."""

    does = "LogitLens of each prompt's last position"

    def read(self, batch: Batch) -> Any:
        import torch

        with torch.inference_mode():
            states = self.model(padded(batch), output_hidden_states=True, logits_to_keep=1).hidden_states
            rows, last, targets = torch.arange(len(batch)), last_positions(batch), option_tokens(batch)
            scores = [
                self.lens(state[rows, last], depth).log_softmax(-1).gather(1, targets)
                for depth, state in enumerate(states[:-1])
            ]
            final = self.lens.unembed.unembedding(states[-1][rows, last])  # the last state is normed already
            return torch.stack([*scores, final.log_softmax(-1).gather(1, targets)])


class TransformerLensCall(Reader):
    """TransformerLens's logit lens in one call; prompts of equal length go together, as it reads one position."""

    package = "transformer-lens"
    does = "tools.analysis.logit_lens(vocab=options)"
    over = "vocabulary"

    def load(self, directory: str, form: str) -> None:
        from transformer_lens.model_bridge import TransformerBridge

        self.bridge = TransformerBridge.boot_transformers(directory, device="cpu").eval()

    def read(self, batch: Batch) -> Any:
        import torch
        from transformer_lens.tools.analysis import logit_lens

        by_length: dict[int, list[int]] = {}
        for at, row in enumerate(batch):
            by_length.setdefault(len(row["tokens"]), []).append(at)
        found: dict[int, Any] = {}
        for members in by_length.values():
            group = [batch[at] for at in members]
            vocabulary, columns = option_tokens(group).unique(return_inverse=True)
            values = logit_lens(self.bridge, padded(group), vocab=vocabulary, return_type="log_probs").values
            found |= {at: values[:, row][:, columns[row]] for row, at in enumerate(members)}
        return torch.stack([found[at] for at in range(len(batch))], dim=1)


class TransformerLensCache(TransformerLensCall):
    """TransformerLens's accumulated residual stream, with the unembedding restricted to the options by hand."""

    does = "accumulated_resid, options' columns of W_U"
    over = "options"

    def read(self, batch: Batch) -> Any:
        import torch

        last = self.bridge.cfg.n_layers - 1
        names = [f"blocks.{layer}.hook_resid_pre" for layer in range(last + 1)] + [f"blocks.{last}.hook_resid_post"]
        with torch.inference_mode():
            _, cache = self.bridge.run_with_cache(padded(batch), names_filter=names)
            states = cache.accumulated_resid()[:, torch.arange(len(batch)), last_positions(batch)]
            normed = cache.apply_ln_to_stack(states, recompute_ln=True)
            return torch.einsum("lnd,dnk->lnk", normed, self.bridge.W_U[:, option_tokens(batch)])


READERS: dict[str, type[Reader]] = {
    "layercliff": Layercliff,
    "layercliff-vocabulary": LayercliffVocabulary,
    "nnterp": Nnterp,
    "tuned-lens": TunedLensTrajectory,
    "tuned-lens-last": TunedLensLast,
    "transformer-lens": TransformerLensCall,
    "transformer-lens-cache": TransformerLensCache,
}


def load_network(directory: str) -> Any:
    """The plain causal language model of a directory, float32."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def padded(batch: Batch) -> Any:
    """Token ids ``[row, position]``, padded on the right: causal attention keeps padding from the tokens before it."""
    import torch

    longest = max(len(row["tokens"]) for row in batch)
    return torch.tensor([row["tokens"] + [0] * (longest - len(row["tokens"])) for row in batch])


def last_positions(batch: Batch) -> Any:
    """The last position of each row of a `padded` batch."""
    import torch

    return torch.tensor([len(row["tokens"]) - 1 for row in batch])


def option_tokens(batch: Batch) -> Any:
    """The options' token ids, ``[row, option]``."""
    import torch

    return torch.tensor([row["targets"] for row in batch])


def peak_memory_bytes() -> int:
    """The most memory this process has held. On Linux VmHWM: a child's ru_maxrss starts at its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        found = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(found["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def interleaved(
    contenders: dict[str, Callable[[int], Any]], batches: int, repeats: int, warm: bool = True
) -> dict[str, list[float]]:
    """Seconds of each contender for all batches, per repeat: on every batch all take turns, who begins rotates.

    A contender is called with the number of the batch. With `warm`, one pass goes before that is not timed.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(-1 if warm else 0, repeats):
        total = dict.fromkeys(names, 0.0)
        for batch in range(batches):
            start = (repeat + batch) % len(names)
            for name in names[start:] + names[:start]:
                begin = time.perf_counter()
                contenders[name](batch)
                total[name] += time.perf_counter() - begin
        if repeat >= 0:
            for name in names:
                seconds[name].append(total[name])
    return seconds


def versions(package: str) -> dict[str, str]:
    """Versions of Python, of the libraries below and of the reader's package."""
    found = {"python": platform.python_version()}
    for name in (package, "torch", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def measure(reader: Reader, request: dict[str, Any]) -> dict[str, Any]:
    """Load and read once for scores and peak memory; then time reading beside a plain forward pass of the blocks.

    The plain network is loaded only after memory was measured.
    """
    import torch

    torch.set_num_threads(request["threads"])
    reader.load(request["directory"], request["form"])
    batches: list[Batch] = request["batches"]
    begin = time.perf_counter()
    scores: list[Scores] = [reader.read(batch).tolist() for batch in batches]
    slow = time.perf_counter() - begin > SLOW_SECONDS
    peak = peak_memory_bytes()
    backbone, ids = load_network(request["directory"]).base_model, [padded(batch) for batch in batches]

    def plain(at: int) -> None:
        with torch.inference_mode():
            backbone(input_ids=ids[at], use_cache=False)

    def read(at: int) -> None:
        reader.read(batches[at])

    plain(0)
    repeats = 1 if slow else request["repeats"]
    seconds = interleaved({"plain": plain, "read": read}, len(batches), repeats, warm=False)
    return {"scores": scores, "seconds": seconds, "peak_bytes": peak}


def main() -> None:
    """Answer a request. What a tool raises becomes part of the answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("request", type=Path)
    parser.add_argument("answer", type=Path)
    arguments = parser.parse_args()
    reader = READERS[arguments.reader]()
    answer: dict[str, Any] = {"versions": versions(reader.package)}
    try:
        answer |= measure(reader, json.loads(arguments.request.read_text()))
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
    arguments.answer.write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
