"""Option tokens are taken in context; what cannot be read is refused or left out, by name."""

import families
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from layercliff.errors import TaskError
from layercliff.readout.encode import chat_template, encode
from layercliff.tasks.prompts import Prompt

PLAIN = families.tokenizer()


def test_letters_are_the_tokens_that_follow_the_prompt() -> None:
    (row,) = encode([Prompt(("Answer:",) * 2, (" A", " B"))], "letter", PLAIN).rows
    assert row.option is None
    assert list(row.tokens) == PLAIN("Answer:").input_ids
    assert PLAIN.decode(row.targets) == " A B"


def test_begin_token_is_there_once() -> None:
    tokenizer = families.tokenizer(begin=True)
    (row,) = encode([Prompt(("Answer:",) * 2, (" A", " B"))], "letter", tokenizer).rows
    assert row.tokens[0] == 0
    assert 0 not in row.tokens[1:] + row.targets
    (templated,) = encode([Prompt(("<s>Answer:",) * 2, ("A", "B"), templated=True)], "letter", tokenizer).rows
    assert templated.tokens.count(0) == 1


def test_cloze_reads_the_positions_before_each_token() -> None:
    rows = encode([Prompt(("The city is",) * 2, (" in France", " Paris"))], "cloze", PLAIN).rows
    for row, text in zip(rows, (" in France", " Paris"), strict=True):
        whole = PLAIN(f"The city is{text}").input_ids
        assert list(row.tokens) == whole[:-1]
        assert PLAIN.decode(row.targets) == text
        assert list(row.tokens[-len(row.targets) + 1 :]) == list(row.targets[:-1]) or len(row.targets) == 1


def merging() -> PreTrainedTokenizerFast:
    """A tokenizer whose context is not a prefix: "ab" is one token although "a" ends the prompt and "b" begins the option."""
    vocabulary = {"<s>": 0, "a": 1, "b": 2, "ab": 3, "c": 4, "x": 5}
    model = Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    model.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=model, name_or_path="merging")


def test_a_context_that_is_no_prefix_scores_the_whole_strings_tokens() -> None:
    """As lm-evaluation-harness does: the whole text's tokens from the length of the context's on, at least one."""
    rows = encode([Prompt(("xa",) * 2, ("bc", "c"))], "cloze", merging()).rows
    assert (rows[0].tokens, rows[0].targets) == ((5, 3), (4,))
    assert (rows[1].tokens, rows[1].targets) == ((5, 1), (4,))


def test_a_context_that_is_no_prefix_is_left_out_of_first_token_and_refused_in_letter() -> None:
    prompts = [Prompt(("xa",) * 2, ("bc", "c"))]
    assert encode(prompts, "first_token", merging()).left_out == (
        (0, "the prompt's tokens change with what follows them"),
    )
    with pytest.raises(TaskError, match=r"merging.* does not give the letter A one token"):
        encode(prompts, "letter", merging())


def test_options_that_share_their_first_token_are_left_out_and_counted() -> None:
    prompts = [Prompt(("x",) * 2, ("ca", "cb")), Prompt(("x",) * 2, ("a", "b"))]
    encoded = encode(prompts, "first_token", merging())
    assert encoded.left_out == ((0, "two options share their first token"),)
    assert [row.question for row in encoded.rows] == [1]


def test_letters_that_share_a_token_name_the_tokenizer() -> None:
    lower = Tokenizer(models.WordLevel({"answer": 0, "?": 1, "a": 2}, unk_token="?"))
    lower.normalizer = normalizers.Lowercase()
    lower.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=lower, unk_token="?", name_or_path="whispers")
    with pytest.raises(
        TaskError, match=r"PreTrainedTokenizerFast|TokenizersBackend.*whispers.* letters B and C the same token 1"
    ):
        encode([Prompt(("Answer",) * 3, (" A", " B", " C"))], "letter", tokenizer)


def test_too_long_prompts_are_refused() -> None:
    with pytest.raises(TaskError, match=r"tokens and the model reads at most 4: use fewer --shots"):
        encode([Prompt(("The capital of France is",) * 2, (" A", " B"))], "letter", PLAIN, max_positions=4)


def test_no_chat_template() -> None:
    with pytest.raises(TaskError, match="no chat template"):
        chat_template(PLAIN)


def test_chat_template_ends_where_the_answer_begins() -> None:
    tokenizer = families.tokenizer()
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    assert chat_template(tokenizer)([{"role": "user", "content": "q"}]) == "[user]q[assistant]"


def test_spaces_that_end_a_context_belong_to_the_continuation() -> None:
    """As in lm-evaluation-harness; the prompts of some benchmarks end so."""
    (first, _) = encode([Prompt(("The city is ",) * 2, (" Paris", " Rome"))], "cloze", PLAIN).rows
    assert PLAIN.decode(first.targets) == "  Paris"
    assert list(first.tokens + first.targets[-1:]) == PLAIN("The city is  Paris").input_ids


def test_each_continuation_follows_its_own_context() -> None:
    rows = encode([Prompt(("The city", "Paris"), (" is", " is"))], "cloze", PLAIN).rows
    assert [PLAIN.decode([*row.tokens, row.targets[-1]]) for row in rows] == ["The city is", "Paris is"]
    assert {PLAIN.decode(row.targets) for row in rows} == {" is"}
