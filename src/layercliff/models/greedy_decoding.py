"""Greedy text that is continued a few tokens at a time."""

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from transformers import PreTrainedModel

CACHES = ("past_key_values", "cache_params")  # what the models call what they remember of the tokens before


class GreedyDecoder:
    """The most likely continuation of `prompt`, with the network's own cache. `tokens` are the new ones.

    The network must be the same at every call. An end token does not end the text.
    """

    def __init__(self, network: PreTrainedModel, prompt: Sequence[int]) -> None:
        self.network, self.tokens = network, list[int]()
        self._unseen = list(prompt)
        self._memory: Any = None
        self._cache = next((name for name in CACHES if name in signature(network.forward).parameters), None)

    @torch.inference_mode()
    def advance(self, count: int) -> None:
        """Generate `count` more tokens."""
        options: dict[str, Any] = {"use_cache": self._cache is not None} | last_logits_only(self.network)
        device = next(self.network.get_input_embeddings().parameters()).device
        for _ in range(count):
            if self._cache is not None:
                options[self._cache] = self._memory
            out = self.network(input_ids=torch.tensor([self._unseen], device=device), **options)
            self.tokens.append(int(out.logits[0, -1].argmax()))
            if self._cache is None:
                self._unseen.append(self.tokens[-1])
            else:
                self._memory, self._unseen = out[self._cache], [self.tokens[-1]]


def last_logits_only(network: PreTrainedModel) -> dict[str, Any]:
    """The option that asks for the logits of the last position alone. All logits may be large."""
    return {"logits_to_keep": 1} if "logits_to_keep" in signature(network.forward).parameters else {}
