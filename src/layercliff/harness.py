"""A model for lm-evaluation-harness: any model that layercliff can name, also step K of a path as ``DIR@K``.

``python -m layercliff.harness --model layercliff --model_args pretrained=runs/demo@5 --tasks arc_easy`` runs the
harness's own command line with this model. Only this module needs lm_eval.
"""

import logging
from collections.abc import Sequence
from inspect import signature
from typing import Any

from lm_eval import utils
from lm_eval.__main__ import cli_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import resolve_max_length

from layercliff import limits
from layercliff.errors import ModelError, nearest
from layercliff.models import loading
from layercliff.readout import batches, logit_agreement
from layercliff.readout.encode import TokenRow
from layercliff.readout.lens import LogitLens
from layercliff.readout.read import Reader
from layercliff.readout.tokens import tokenise

UNSAID = (None, "cuda:0")
"""The device where the user named none: the harness's functions and its command line differ."""

NOT_USED = ("batch_size", "max_batch_size")

Request = tuple[tuple[str, str] | None, list[int], list[int]]
"""The strings, the context's token ids, the continuation's."""


@register_model("layercliff")
class LayercliffLM(TemplateLM):  # type: ignore[misc]
    """Log-likelihoods by layercliff's readout. Requests with the same context share its pass. It generates no text.

    The harness tokenises. Where a context's tokens are no prefix of the whole text's, the continuation follows the
    context's own tokens, as for every model of the harness. ``layercliff eval`` follows the whole text's.
    """

    def __init__(
        self,
        pretrained: str = "",
        dtype: str = "float32",
        weights_dtype: str | None = None,
        device: str | None = None,
        batch_tokens: int | None = None,
        trust_remote_code: bool = False,
        **others: Any,
    ) -> None:
        """Load `pretrained`, any model name of layercliff's. Batches are of at most `batch_tokens` tokens.

        Of the `others`, `NOT_USED` are what the harness always gives. Raises `LayercliffError`, also for any more.
        """
        super().__init__()
        if unknown := sorted(others.keys() - set(NOT_USED)):
            known = [name for name, of in signature(type(self)).parameters.items() if of.kind is not of.VAR_KEYWORD]
            raise ModelError(
                f"layercliff's model for lm-evaluation-harness takes no argument {unknown[0]!r}: "
                f"{nearest(unknown[0], known)}"
            )
        if not pretrained:
            raise ModelError("layercliff's model for lm-evaluation-harness needs --model_args pretrained=MODEL.")
        limits.check(batch_tokens=batch_tokens)
        device = "auto" if device in UNSAID else device
        self.model = loading.load(pretrained, dtype, weights_dtype, device, trust_remote_code)
        self.tokenizer = self.model.tokenizer
        self.batch_tokens = self.model.batch_tokens(batch_tokens)
        self.max_length = resolve_max_length(self.model.network.config, self.tokenizer)

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """The token for an empty context: the begin token, else the end token."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else int(begin)

    @property
    def tokenizer_name(self) -> str:
        """For the harness's own caches."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Render messages by the model's own template."""
        return str(
            self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Tokens with the tokenizer's own special tokens, unless the text begins with the begin token."""
        if add_special_tokens is None:
            add_special_tokens = not string.startswith(str(self.tokenizer.decode(self.prefix_token_id)))
        return tokenise(self.tokenizer, [string], special=add_special_tokens)[0]

    def _loglikelihood_tokens(
        self, requests: Sequence[Request], disable_tqdm: bool = False, **_: Any
    ) -> list[tuple[float, bool]]:
        """The summed log-likelihood of each continuation, and whether it is the greedy one.

        Contexts that are too long lose their beginning.
        """
        contexts: dict[tuple[int, ...], int] = {}
        rows = []
        for number, (_strings, context, continuation) in enumerate(requests):
            whole = tuple((context + continuation)[-(self.max_length + 1) :])
            question = contexts.setdefault(whole[: -len(continuation)], len(contexts))
            rows.append(TokenRow(question, number, whole[:-1], whole[-len(continuation) :]))
        reader = Reader(
            self.model,
            LogitLens(self.model.anatomy.unembedding),
            "cloze",
            "none",
            logging.getLogger(__name__).warning,
            depths=(self.model.n_layers,),
        )
        found: list[tuple[float, bool]] = [(0.0, False)] * len(rows)
        sharing = (
            logit_agreement.of(self.model, rows, note=logging.getLogger(__name__).warning).sharing
            if rows
            else "nothing"
        )
        for batch in batches.plan(rows, self.batch_tokens, sharing):
            reading = reader.read(batch)
            for place, row in enumerate(batch.rows):
                assert row.option is not None
                found[row.option] = (float(reading.scores[-1, place, 0]), bool(reading.greedy[-1, place]))
        for request, answer in zip(requests, found, strict=True):
            if request[0] is not None:
                self.cache_hook.add_partial("loglikelihood", request[0], answer)
        return found

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of whole texts, in disjoint windows of the model's length."""
        windows: list[tuple[int, Request]] = [
            (number, (None, *utils.make_disjoint_window(window)))
            for number, request in enumerate(requests)
            for window in utils.get_rolling_token_windows(
                self.tok_encode(request.args[0]), self.prefix_token_id, self.max_length, 1
            )
        ]
        totals = [0.0] * len(requests)
        answers = self._loglikelihood_tokens([window for _, window in windows])
        for (number, _), (value, _greedy) in zip(windows, answers, strict=True):
            totals[number] += value
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Refused. Raises `ModelError`."""
        raise ModelError(
            "layercliff's model for lm-evaluation-harness scores continuations and does not generate: export the "
            "step with `layercliff export` and give the checkpoint to the harness's own model hf."
        )


if __name__ == "__main__":
    cli_evaluate()
