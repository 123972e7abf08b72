"""Prompts as token ids: which positions are read, and for which tokens.

Option tokens are always taken in context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from transformers import PreTrainedTokenizerBase

from layercliff.choices import Format
from layercliff.errors import TaskError
from layercliff.models.library_errors import LibraryErrors
from layercliff.readout.time_limit import within
from layercliff.readout.tokens import named, tokenise
from layercliff.tasks.prompts import Chat, Prompt
from layercliff.tasks.question import LETTERS

PROBE = "Which of these is a metal?"
TEMPLATE_SECONDS = 10.0
MERGED = 8  # tokens at the end of a context that may become others when text follows


@dataclass(frozen=True, slots=True, repr=False)
class TokenRow:
    """One sequence to run.

    In *letter* and *first_token*, the last position is read for each target. In *cloze*, the last ``len(targets)``
    positions are read, each for the token after it.

    Attributes:
        question: Index of the question.
        option: Whose continuation this is in *cloze*, else None.
        tokens: Ids of the sequence.
        targets: Ids that are read: one per option, or those of the continuation.
    """

    question: int
    option: int | None
    tokens: tuple[int, ...]
    targets: tuple[int, ...]

    def __repr__(self) -> str:
        """As in version 0.1.0: keys of the journal are made of this text."""
        return f"Row(question={self.question}, option={self.option}, tokens={self.tokens}, targets={self.targets})"


@dataclass(frozen=True)
class EncodedPrompts:
    """The rows of one task.

    Attributes:
        rows: What is asked.
        left_out: Questions that cannot be asked: index and reason.
    """

    rows: tuple[TokenRow, ...]
    left_out: tuple[tuple[int, str], ...]


def encode(
    prompts: Sequence[Prompt],
    form: Format,
    tokenizer: PreTrainedTokenizerBase,
    max_positions: int | None = None,
    vocabulary: int | None = None,
) -> EncodedPrompts:
    """Tokenise prompt and continuation together, and read the tokens that follow the prompt's.

    Options that share their first token are left out in *first_token*, those without a token of their own in *cloze*.

    Args:
        prompts: One per question.
        form: The task's format.
        tokenizer: The model's.
        max_positions: Tokens that the model reads at most. None for no limit.
        vocabulary: Number of ids that the model knows. None for any.

    Returns:
        Rows, and questions left out.

    Raises:
        TaskError: For letters that share a token or need several, for a prompt whose tokens change with what follows,
            and for sequences that are too long.
    """
    special = not any(p.templated for p in prompts)
    ids_of = partial(tokenise, tokenizer, special=special, vocabulary=vocabulary)
    stripped = [dict.fromkeys(_without_end(c, form) for c in p.contexts) for p in prompts]
    contexts = iter(ids_of([c for found in stripped for c in found]))
    texts = [context + end for p in prompts for context, end in zip(p.contexts, p.continuations, strict=True)]
    wholes = iter(ids_of(texts))
    rows: list[TokenRow] = []
    left_out: list[tuple[int, str]] = []
    for index, (prompt, found) in enumerate(zip(prompts, stripped, strict=True)):
        ids = {context: next(contexts) for context in found}
        options = [next(wholes) for _ in prompt.continuations]
        if form == "cloze":
            befores = [ids[_without_end(context, form)] for context in prompt.contexts]
            if problem := _continuations(tokenizer, befores, options):
                left_out.append((index, problem))
            else:
                rows += [
                    _continuation(index, option, *pair)
                    for option, pair in enumerate(zip(befores, options, strict=True))
                ]
            continue
        (context,) = ids.values()
        starts = [
            whole[len(context)] if whole[: len(context)] == context and len(whole) > len(context) else None
            for whole in options
        ]
        problem = _letters(tokenizer, context, options, starts) if form == "letter" else _first_tokens(starts)
        if problem and form == "letter":
            raise TaskError(problem)
        if problem:
            left_out.append((index, problem))
        else:
            rows.append(TokenRow(index, None, tuple(context), tuple(t for t in starts if t is not None)))
    _check_length(rows, max_positions)
    return EncodedPrompts(tuple(rows), tuple(left_out))


def _without_end(context: str, form: Format) -> str:
    """In *cloze*, trailing spaces of a context belong to the continuation, as in lm-evaluation-harness."""
    return context.rstrip() if form == "cloze" else context


def _continuations(tokenizer: PreTrainedTokenizerBase, befores: list[list[int]], wholes: list[list[int]]) -> str | None:
    """Why options cannot be scored after their contexts, or None.

    What follows may change the last few tokens of a context, as in lm-evaluation-harness. Raises `TaskError` for a
    tokenizer that changes more.
    """
    for context, whole in zip(befores, wholes, strict=True):
        alike = next((at for at, pair in enumerate(zip(context, whole, strict=False)) if pair[0] != pair[1]), None)
        if alike is not None and len(context) - alike > MERGED:
            raise TaskError(
                f"{named(tokenizer)} gives a prompt of {len(context)} tokens others from token {alike} on when an "
                "option follows: what is scored cannot be told from the prompt; give the model another tokenizer."
            )
        if alike is None and len(whole) <= len(context):
            return "an option has no token of its own"
    return None


def _continuation(question: int, option: int, context: list[int], whole: list[int]) -> TokenRow:
    """The row of a continuation: the whole text's tokens, after as many as the context has, as in
    lm-evaluation-harness.

    The context's tokens may be no prefix of the whole text's. Here, targets follow the whole text's own tokens. The
    harness runs them after the context's.
    """
    begin = min(len(context), len(whole) - 1)
    return TokenRow(question, option, tuple(whole[:-1]), tuple(whole[begin:]))


def _letters(
    tokenizer: PreTrainedTokenizerBase, context: list[int], options: list[list[int]], starts: list[int | None]
) -> str | None:
    who = named(tokenizer)
    cure = "use --format cloze or first_token."
    for letter, whole, start in zip(LETTERS, options, starts, strict=False):
        if start is None or len(whole) != len(context) + 1:
            return f"{who} does not give the letter {letter} one token of its own after the prompt: {cure}"
    for letter, start in zip(LETTERS, starts, strict=False):
        first = LETTERS[starts.index(start)]
        if first != letter:
            return f"{who} gives the letters {first} and {letter} the same token {start}: {cure}"
    return None


def _first_tokens(starts: list[int | None]) -> str | None:
    if None in starts:
        return "the prompt's tokens change with what follows them"
    return "two options share their first token" if len(set(starts)) < len(starts) else None


def _check_length(rows: Sequence[TokenRow], max_positions: int | None) -> None:
    longest = max((len(row.tokens) for row in rows), default=0)
    if max_positions is not None and longest > max_positions:
        raise TaskError(
            f"The longest prompt has {longest} tokens and the model reads at most {max_positions}: "
            "use fewer --shots, or where there are none shorter questions."
        )


def chat_template(tokenizer: PreTrainedTokenizerBase) -> Chat:
    """Make a function that renders messages with the tokenizer's chat template. It is tried once here.

    Args:
        tokenizer: The model's.

    Returns:
        From messages to text, up to where the answer begins.

    Raises:
        TaskError: Where there is no template; for one that fails, does not end, drops the question, or ends the text
            instead of opening the answer.
    """
    if not tokenizer.chat_template:
        raise TaskError("This model's tokenizer has no chat template: leave out --chat.")
    render = partial(_rendered, tokenizer)
    tried = render([{"role": "user", "content": PROBE}])
    if PROBE not in tried:
        raise TaskError(_template("leaves the question out"))
    if (end := tokenizer.eos_token) and tried.rstrip().endswith(str(end)):
        raise TaskError(_template(f"ends the text with {end} where the answer would begin"))
    return render


def _rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    """Messages through a tokenizer's chat template, up to where the answer begins."""
    with (
        within(TEMPLATE_SECONDS, _template("does not end")),
        LibraryErrors("chat template", named(tokenizer), "leave out --chat."),
    ):
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _template(fault: str) -> str:
    return f"The chat template of this model's tokenizer {fault}: leave out --chat."
