"""Prompts as token ids: which positions are read, and for which tokens. Option tokens are always taken in context."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from layercliff.choices import Format
from layercliff.errors import TaskError
from layercliff.tasks.prompts import Chat, Prompt
from layercliff.tasks.question import LETTERS


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence to run.

    *letter*, *first_token*: the last position is read for each of `targets`, one token per option. *cloze*: `option` says
    whose continuation this is, and the last ``len(targets)`` positions are read, each for its own target, the token that follows it.
    """

    question: int
    option: int | None
    tokens: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """The rows of one task, and the questions that had to be left out: (index, reason)."""

    rows: tuple[Row, ...]
    left_out: tuple[tuple[int, str], ...]


def encode(
    prompts: Sequence[Prompt], form: Format, tokenizer: PreTrainedTokenizerBase, max_positions: int | None = None
) -> Encoded:
    """Tokenise prompt + continuation and look at what follows the prompt's tokens.

    *first_token* leaves out questions whose options share their first token. Raises `TaskError` for letters that share a
    token or need several (naming the tokenizer), and for sequences longer than `max_positions`.
    """
    stripped = [dict.fromkeys(_without_end(c, form) for c in p.contexts) for p in prompts]
    contexts = iter(_tokenise(tokenizer, [c for found in stripped for c in found], prompts))
    texts = [context + end for p in prompts for context, end in zip(p.contexts, p.continuations, strict=True)]
    wholes = iter(_tokenise(tokenizer, texts, prompts))
    rows: list[Row] = []
    left_out: list[tuple[int, str]] = []
    for index, (prompt, found) in enumerate(zip(prompts, stripped, strict=True)):
        ids = {context: next(contexts) for context in found}
        options = [next(wholes) for _ in prompt.continuations]
        if form == "cloze":
            befores = [ids[_without_end(context, form)] for context in prompt.contexts]
            rows += [
                _continuation(index, option, *pair) for option, pair in enumerate(zip(befores, options, strict=True))
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
            rows.append(Row(index, None, tuple(context), tuple(t for t in starts if t is not None)))
    _check_length(rows, max_positions)
    return Encoded(tuple(rows), tuple(left_out))


def _without_end(context: str, form: Format) -> str:
    """In *cloze*, spaces at the end of a context belong to the continuation, as in lm-evaluation-harness."""
    return context.rstrip() if form == "cloze" else context


def _tokenise(tokenizer: PreTrainedTokenizerBase, texts: list[str], prompts: Sequence[Prompt]) -> list[list[int]]:
    special = not any(p.templated for p in prompts)
    ids: list[list[int]] = (
        tokenizer(texts, add_special_tokens=special, return_attention_mask=False).input_ids if texts else []
    )
    return ids


def _continuation(question: int, option: int, context: list[int], whole: list[int]) -> Row:
    """The continuation's tokens are those of the whole text after as many as the context has, as for lm-evaluation-harness. Where the
    context's tokens are no prefix of the whole text's, they follow the whole text's own tokens here; the harness runs them after the context's."""
    begin = min(len(context), len(whole) - 1)
    return Row(question, option, tuple(whole[:-1]), tuple(whole[begin:]))


def _letters(
    tokenizer: PreTrainedTokenizerBase, context: list[int], options: list[list[int]], starts: list[int | None]
) -> str | None:
    name = getattr(tokenizer, "name_or_path", "") or "unnamed"
    who = f"The tokenizer {type(tokenizer).__name__} ({name})"
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


def _check_length(rows: Sequence[Row], max_positions: int | None) -> None:
    longest = max((len(row.tokens) for row in rows), default=0)
    if max_positions is not None and longest > max_positions:
        raise TaskError(
            f"The longest prompt has {longest} tokens and the model reads at most {max_positions}: use fewer --shots."
        )


def chat_template(tokenizer: PreTrainedTokenizerBase) -> Chat:
    """Render messages with the tokenizer's chat template. Raises `TaskError` when it has none."""
    if not tokenizer.chat_template:
        raise TaskError("This model's tokenizer has no chat template: leave out --chat.")

    def render(messages: list[dict[str, str]]) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    return render
