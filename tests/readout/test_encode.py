"""Option tokens are taken in context; what cannot be read is refused or left out, by name."""

from typing import Any

import families
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from layercliff.choices import Format
from layercliff.errors import LayercliffError, ModelError, TaskError
from layercliff.models.model import Model
from layercliff.readout import likelihood
from layercliff.readout.encode import chat_template, encode
from layercliff.readout.encoded_task import passages
from layercliff.readout.tokens import tokenise
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
    """A tokenizer whose context is not a prefix: "ab" is one token although "a" ends the prompt and "b" begins the
    option."""
    vocabulary = {"<s>": 0, "a": 1, "b": 2, "ab": 3, "c": 4, "x": 5}
    model = Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    model.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=model, name_or_path="merging")


def test_context_that_is_no_prefix_of_the_whole() -> None:
    """As lm-evaluation-harness does: the whole text's tokens from the length of the context's on, at least one."""
    rows = encode([Prompt(("xa",) * 2, ("bc", "c"))], "cloze", merging()).rows
    assert (rows[0].tokens, rows[0].targets) == ((5, 3), (4,))
    assert (rows[1].tokens, rows[1].targets) == ((5, 1), (4,))


def test_contexts_that_are_no_prefix_in_other_formats() -> None:
    """They are left out of *first_token*, and refused in *letter*."""
    prompts = [Prompt(("xa",) * 2, ("bc", "c"))]
    assert encode(prompts, "first_token", merging()).left_out == (
        (0, "the prompt's tokens change with what follows them"),
    )
    with pytest.raises(TaskError, match=r"merging.* does not give the letter A one token"):
        encode(prompts, "letter", merging())


def test_options_that_share_a_first_token_are_left_out() -> None:
    """They are counted."""
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
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% "
        "endif %}"
    )
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


def _chat(template: str) -> str:
    tokenizer = families.tokenizer()
    tokenizer.chat_template = template
    return chat_template(tokenizer)([{"role": "user", "content": "q"}])


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{ raise_exception('no such role') }}", r"no such role\): leave out --chat"),
        ("{{ messages[0].nothing.at.all }}", r"cannot be read .*: leave out --chat"),
        ("{% for m in messages %}", "cannot be read .*: leave out --chat"),
        ("", "no chat template"),
        ("[user]", "leaves the question out"),
        (
            "{% for m in messages %}{{ m.content }}{% endfor %}{{ eos_token }}\n",
            "ends the text with </s> where the answer",
        ),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "does not end: leave out --chat",
        ),
    ],
)
def test_a_chat_template_that_opens_no_answer_is_refused(
    template: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layercliff.readout.encode.TEMPLATE_SECONDS", 0.3)
    with pytest.raises(LayercliffError, match=sentence):
        _chat(template)


def ending(template: str = "<s> $A </s>") -> PreTrainedTokenizerFast:
    """A tokenizer that adds an end token after every text."""
    tokenizer = families.tokenizer()
    special = [("<s>", 0), ("</s>", 1)]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    return tokenizer


FORMS: tuple[Format, ...] = ("letter", "cloze", "first_token")


@pytest.mark.parametrize("form", FORMS)
def test_an_end_token_is_left_off_in_every_format(form: Format) -> None:
    """Else it is what is scored, the same for all options."""
    prompts = [Prompt(("Answer:",) * 2, (" A", " B"))]
    assert encode(prompts, form, ending()) == encode(prompts, form, families.tokenizer(begin=True))


def test_an_end_token_is_left_off_running_text() -> None:
    begun = families.tokenizer(begin=True)
    text = ["The city of Lyon is in France.", "iron"]
    assert tokenise(ending(), text) == begun(text).input_ids
    assert likelihood.rows(text, ending(), 9, 6) == likelihood.rows(text, begun, 9, 6)
    model = Model.of(families.network("llama"), ending())
    assert passages(model, text) == passages(Model.of(model.network, begun), text)
    assert tokenise(ending("$A </s> </s>"), text) == PLAIN(text).input_ids


def test_an_end_token_that_cannot_be_left_off_is_refused_by_name() -> None:
    class Odd(PreTrainedTokenizerFast):
        def __call__(self, text: list[str], **options: Any) -> Any:
            found = super().__call__(text, **options)
            if options.get("add_special_tokens"):
                found["input_ids"] = [[*ids, 1] if len(ids) % 2 else ids for ids in found.input_ids]
            return found

    odd = Odd(tokenizer_object=PLAIN.backend_tokenizer, eos_token="</s>", name_or_path="odd")
    with pytest.raises(TaskError, match=r"The tokenizer Odd \(odd\) .*another tokenizer"):
        tokenise(odd, ["The city", "The city is", "The", "iron Answer", "a b c d e"])


def test_ids_beyond_the_embedding_are_refused() -> None:
    with pytest.raises(ModelError, match=r"gives .* the id \d+, and the model knows ids below 100"):
        encode([Prompt(("Answer:",) * 2, (" A", " B"))], "letter", PLAIN, vocabulary=100)


def test_cloze_leaves_out_an_option_without_own_tokens() -> None:
    words = Tokenizer(models.WordLevel({"?": 0, "is": 1, "iron": 2}, unk_token="?"))
    words.normalizer = normalizers.Replace("!", "")
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?")
    prompts = [Prompt(("is",) * 2, (" iron", " !")), Prompt(("is",) * 2, (" iron", " is"))]
    encoded = encode(prompts, "cloze", tokenizer)
    assert encoded.left_out == ((0, "an option has no token of its own"),)
    assert {row.question for row in encoded.rows} == {1}


def test_a_tokenizer_that_reads_a_text_from_its_end_is_refused() -> None:
    class Backwards(PreTrainedTokenizerFast):
        def __call__(self, text: list[str], **options: Any) -> Any:
            found = super().__call__(text, **options)
            found["input_ids"] = [ids[::-1] for ids in found.input_ids]
            return found

    backwards = Backwards(tokenizer_object=PLAIN.backend_tokenizer, name_or_path="backwards")
    with pytest.raises(TaskError, match=r"\(backwards\) gives a prompt of \d+ tokens others from token 0 on"):
        encode([Prompt(("The capital of France is Paris, of Chile",) * 2, (" A", " B"))], "cloze", backwards)
