"""From a residual stream to logits, in float32, as the model itself does it after its last block."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

# rows of the head multiplied at once: [positions, vocabulary] is never held whole, a chunk of it stays in cache
VOCABULARY_CHUNK = 2048


@dataclass(frozen=True)
class Unembedding:
    """``z(t) = logit_scale * softcap(W_U[t] . final_norm(h) + bias[t])``.

    `final_norm` is what the model applies between its last block and its head: a norm, in OPT-350m a projection. It
    is a float32 copy, with statistics of the `h` it is given. `softcap` is ``cap * tanh(z / cap)`` or None.
    """

    final_norm: nn.Module
    head: nn.Module
    logit_scale: float = 1.0
    softcap: float | None = None

    @staticmethod
    def of(
        final_norm: nn.Module, head: nn.Module, logit_scale: float = 1.0, softcap: float | None = None
    ) -> "Unembedding":
        """Copy `final_norm` in float32. `head` is shared with the model and not copied."""
        with torch.inference_mode(False):  # gradients may have to pass through the copy
            norm = copy.deepcopy(final_norm).float().requires_grad_(False)
        return Unembedding(norm, head, logit_scale, softcap)

    @property
    def vocabulary(self) -> int:
        """The number of tokens that the head scores."""
        weight = self._weight
        return int(weight.shape[0]) if weight is not None else int(self.head.out_features)  # type: ignore[arg-type]

    @property
    def _weight(self) -> Tensor | None:
        """The head's weight ``[vocabulary, features]``. None where it is packed (quantised)."""
        weight = getattr(self.head, "weight", None)
        return weight if isinstance(weight, Tensor) and weight.ndim == 2 and weight.is_floating_point() else None

    def normed(self, hidden: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """Apply the final norm to states of any depth, in float32."""
        out: Tensor = self.final_norm(hidden.float())
        return out

    def tokens(self, normed: Float[Tensor, "*depth n e"], tokens: Int[Tensor, "n k"]) -> Float[Tensor, "*depth n k"]:
        """Logits of a few tokens per state, at one depth or many. Only their rows of the head are multiplied."""
        if (weight := self._weight) is None:
            return self._finish(self.head(normed).float().gather(-1, tokens.expand(*normed.shape[:-1], -1)))
        bias = getattr(self.head, "bias", None)
        if bool((tokens == tokens[:1]).all()):  # the same few tokens everywhere (letters): one small matrix product
            logits = normed @ weight[tokens[0]].float().T
        else:
            logits = torch.einsum("...nd,nkd->...nk", normed, weight[tokens].float())
        return self._finish(logits if bias is None else logits + bias[tokens].float())

    def vocabulary_logits(self, normed: Float[Tensor, "n e"], start: int, stop: int) -> Float[Tensor, "n v"]:
        """Logits of the tokens ``start..stop-1``."""
        if (weight := self._weight) is None:
            return self._finish(self.head(normed).float()[:, start:stop])
        bias = getattr(self.head, "bias", None)
        logits = normed @ weight[start:stop].float().T
        return self._finish(logits if bias is None else logits + bias[start:stop].float())

    def log_normaliser(self, normed: Float[Tensor, "n e"]) -> Float[Tensor, " n"]:
        """The log-sum-exp of the logits over the whole vocabulary, computed in chunks."""
        total = torch.full((normed.shape[0],), -torch.inf, device=normed.device)
        for start, stop in self._chunks():
            total = torch.logaddexp(total, self.vocabulary_logits(normed, start, stop).logsumexp(1))
        return total

    def mean_probabilities(self, normed: Float[Tensor, "n e"]) -> Float[Tensor, " vocabulary"]:
        """The probability of every token, averaged over states."""
        normaliser = self.log_normaliser(normed)[:, None]
        return torch.cat(
            [(self.vocabulary_logits(normed, *ends) - normaliser).exp().mean(0) for ends in self._chunks()]
        )

    def divergences(
        self, own: Float[Tensor, "n e"], others: Float[Tensor, "several n e"]
    ) -> Float[Tensor, "several n"]:
        """KL divergence in nats of the distributions of `others` from those of `own`, state by state.

        It runs over the whole vocabulary, a chunk at a time.
        """
        normaliser = self.log_normaliser(own)[:, None]
        total = torch.full(others.shape[:2], -torch.inf, device=own.device)
        apart = torch.zeros(others.shape[:2], device=own.device)
        for start, stop in self._chunks():
            known = self.vocabulary_logits(own, start, stop) - normaliser
            logits = self.vocabulary_logits(others.flatten(0, 1), start, stop).view(*total.shape, -1)
            total = torch.logaddexp(total, logits.logsumexp(-1))
            apart += (known.exp() * (known - logits)).sum(-1)
        return apart + total

    def predictions(
        self, normed: Float[Tensor, "n e"], targets: Int[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n k"], Bool[Tensor, "n k"]]:
        """Log-probabilities of a few target tokens per state, and whether no other token is likelier.

        It takes one pass over the vocabulary, a chunk at a time.
        """
        n = normed.shape[0]
        best, total = normed.new_full((n, 1), -torch.inf), normed.new_zeros((n, 1))
        own = normed.new_empty(targets.shape)
        for start, stop in self._chunks():
            logits = self.vocabulary_logits(normed, start, stop)
            state, column = ((targets >= start) & (targets < stop)).nonzero(as_tuple=True)
            own[state, column] = logits[state, targets[state, column] - start]
            higher = torch.maximum(best, logits.amax(1, keepdim=True))
            total = total * (best - higher).exp() + logits.sub_(higher).exp_().sum(1, keepdim=True)
            best = higher
        return own - best - total.log(), own >= best

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """The vocabulary in chunks: first token, and the one after the last. A packed head is one chunk."""
        chunk = VOCABULARY_CHUNK if self._weight is not None else self.vocabulary
        for start in range(0, self.vocabulary, chunk):
            yield start, min(start + chunk, self.vocabulary)

    def _finish(self, logits: Tensor) -> Tensor:
        if self.softcap is not None:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        return logits if self.logit_scale == 1.0 else logits * self.logit_scale
