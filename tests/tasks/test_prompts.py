"""Prompts, character for character."""

from layercliff.tasks.prompts import ask
from layercliff.tasks.question import Question, Task

SKY = Question("1", "What colour is the sky?", ("red", "blue"), 1, "1")
SEA = Question("2", "What is {wet}?", ("sea", "sand", "sun"), 0, "2")
TASK = Task("t", (SKY, SEA), "s", "l", "cloze")


def test_cloze() -> None:
    prompt = ask(TASK, SKY, "cloze")
    assert prompt.contexts == ("Question: What colour is the sky?\nAnswer:",) * 2
    assert prompt.continuations == (" red", " blue")
    assert ask(TASK, SKY, "first_token") == prompt


def test_letter_with_an_example_of_other_option_counts() -> None:
    prompt = ask(TASK, SKY, "letter", [SEA])
    assert set(prompt.contexts) == {
        "Question: What is {wet}?\n A. sea\n B. sand\n C. sun\nAnswer: A\n\nQuestion: What colour is the sky?\n A. "
        "red\n B. blue\nAnswer:"
    }
    assert prompt.continuations == (" A", " B")


def test_chat() -> None:
    seen: list[list[dict[str, str]]] = []

    def render(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return "<chat>"

    prompt = ask(TASK, SKY, "letter", [SEA], render)
    assert (prompt.contexts, prompt.continuations, prompt.templated) == (("<chat>",) * 2, ("A", "B"), True)
    assert [(m["role"], m["content"][-8:]) for m in seen[0]] == [
        ("user", "\nAnswer:"),
        ("assistant", "A"),
        ("user", "\nAnswer:"),
    ]
