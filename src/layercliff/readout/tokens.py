"""Texts as token ids. What a tokenizer adds after a text is dropped. Ids unknown to the model are refused."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from layercliff.errors import ModelError, TaskError
from layercliff.models.library_errors import LibraryErrors
from layercliff.models.model import Model

PROBES = ("a", "One two three: 4")  # texts that end differently
Ids = list[int]
_known: WeakKeyDictionary[PreTrainedTokenizerBase, dict[bool, Ids]] = WeakKeyDictionary()  # what each adds after a text


def tokenise(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, special: bool = True, vocabulary: int | None = None
) -> list[Ids]:
    """Turn texts into ids, without the special tokens after them.

    An end token would be scored in place of what follows.

    Args:
        tokenizer: The model's.
        texts: Any.
        special: Keep the special tokens before a text.
        vocabulary: Number of ids that the model knows. None for any.

    Returns:
        Ids of each text.

    Raises:
        TaskError: For a tokenizer that adds tokens inside a text.
        ModelError: For an id that the model does not know.
    """
    if not texts:
        return []
    known = _known.setdefault(tokenizer, {})
    if special not in known:
        known[special] = _after(tokenizer, special)
    end = known[special]
    found = _ids(tokenizer, texts, special)
    if odd := next((text for text, ids in zip(texts, found, strict=True) if end and ids[-len(end) :] != end), None):
        raise TaskError(
            f"{named(tokenizer)} puts an end token after some texts and not after others ({odd[-20:]!r} for one): give "
            "the model another tokenizer."
        )
    found = [ids[: len(ids) - len(end)] for ids in found]
    largest = max((token for ids in found for token in ids), default=0)
    if vocabulary is not None and largest >= vocabulary:
        raise ModelError(
            f"{named(tokenizer)} gives {tokenizer.convert_ids_to_tokens(largest)!r} the id {largest}, and the model "
            f"knows ids below {vocabulary}: they do not belong together; give the model its own tokenizer."
        )
    return found


def of_model(model: Model, texts: Sequence[str]) -> list[Ids]:
    """`tokenise` with the tokenizer and vocabulary of a model.

    Args:
        model: The model.
        texts: Any.

    Returns:
        Ids of each text.
    """
    return tokenise(model.tokenizer, texts, vocabulary=vocabulary(model.network))


def vocabulary(network: PreTrainedModel) -> int:
    """The number of ids that a network can be given.

    Args:
        network: The network.

    Returns:
        Rows of its embedding.
    """
    rows: int = network.get_input_embeddings().weight.shape[0]  # type: ignore[assignment,index]
    return rows


def named(tokenizer: PreTrainedTokenizerBase) -> str:
    """A tokenizer's name in messages.

    Args:
        tokenizer: Any.

    Returns:
        Its class and where it is from.
    """
    return f"The tokenizer {type(tokenizer).__name__} ({getattr(tokenizer, 'name_or_path', '') or 'unnamed'})"


def _after(tokenizer: PreTrainedTokenizerBase, special: bool) -> Ids:
    """The tokens that a tokenizer adds after every text, found on two texts.

    Raises `TaskError` where they cannot be told from the text's own.
    """
    plain = _ids(tokenizer, PROBES, special=False)
    ends = [id for id in (tokenizer.eos_token_id, tokenizer.sep_token_id) if isinstance(id, int)]
    always = plain[0][-1:] if all(len(ids) > 1 and ids[-1] in ends for ids in plain) else []
    if not special:
        return always
    added = set()
    for inner, whole in zip(plain, _ids(tokenizer, PROBES, special=True), strict=True):
        begin = next((at for at in range(len(whole) - len(inner) + 1) if whole[at : at + len(inner)] == inner), None)
        if begin is None:
            raise TaskError(
                f"{named(tokenizer)} changes a text's tokens when it adds its own, so that no text has a clear end: "
                "give the model another tokenizer."
            )
        added.add(tuple(whole[begin + len(inner) - len(always) :]))
    if len(added) > 1:
        raise TaskError(f"{named(tokenizer)} ends texts in different ways: give the model another tokenizer.")
    return list(added.pop())


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], special: bool) -> list[Ids]:
    with LibraryErrors("", named(tokenizer), "give the model another tokenizer."):
        found: list[Ids] = tokenizer(list(texts), add_special_tokens=special, return_attention_mask=False).input_ids
    return found
