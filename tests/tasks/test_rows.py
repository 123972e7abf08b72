"""Files of questions in every documented layout; bad rows are refused with line and reason, or listed."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layercliff.errors import TaskError
from layercliff.tasks import registry, row_files, rows

GOOD = {"id": "1", "question": "2 + 2 =", "options": ["3", "4"], "answer": 1}
ARC = {"id": "2", "question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "A"}


def jsonl(path: Path, content: list[Any]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in content))
    return str(path)


def test_jsonl(tmp_path: Path) -> None:
    (task,) = registry.load(
        jsonl(tmp_path / "sums.jsonl", [GOOD, {"question": "q", "options": ["x", "y"], "answer": "B", "group": "g"}])
    )
    assert task.name == "sums"
    assert [(q.id, q.gold, q.group) for q in task.questions] == [("1", 1, "1"), ("2", 1, "g")]


def test_csv_with_option_columns_and_with_a_list(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('id,question,option_a,option_b,option_c,answer\na,"two\nlines",x,y,,B\nb,q,x,y,z,z\n')
    (task,) = registry.load(str(file))
    assert [(q.options, q.gold) for q in task.questions] == [(("x", "y"), 1), (("x", "y", "z"), 2)]
    file.write_text('question,options,answer\nq,"[""x"", ""y""]",1\n')
    (task,) = registry.load(str(file))
    assert task.questions[0].options == ("x", "y")
    assert task.questions[0].gold == 1


def test_arc_layouts_with_numeric_labels_and_five_options(tmp_path: Path) -> None:
    ai2 = {
        "id": "a",
        "question": {"stem": "q", "choices": [{"text": t, "label": str(i)} for i, t in enumerate("vwxyz", 1)]},
        "answerKey": "5",
    }
    hub = {"id": "b", "question": "q", "choices": {"text": ["x", "y", "z"], "label": ["A", "B", "C"]}, "answerKey": "C"}
    path = jsonl(tmp_path / "arc.jsonl", [ai2, hub])
    for wanted in (path, f"arc_challenge={path}"):
        (task,) = registry.load(wanted)
        assert [(len(q.options), q.gold) for q in task.questions] == [(5, 4), (3, 2)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{broken", "it is no JSON"),
        ([1], "it is not a JSON object"),
        ({**GOOD, "id": "2", "question": 3}, "'question' is missing or no text"),
        ({**GOOD, "id": "2", "options": "no"}, "no JSON list"),
        ({**GOOD, "id": "2", "options": ["a", 1]}, "no list of texts"),
        ({"id": "2", "question": "q", "answer": 0}, "neither a field 'options' nor columns"),
        ({**GOOD, "id": "2", "answer": 2}, "the answer 2 is not among the 2 options"),
        ({**GOOD, "id": "2", "answer": "five"}, "the answer 'five' is not among"),
        ({**GOOD, "id": "2", "answer": None}, "'answer' is missing"),
        ({**GOOD, "id": "2", "answer": True}, "'answer' is True, which is neither"),
        ({**GOOD, "id": "2", "options": ["B", "A"], "answer": "A"}, "can be read as option A or B"),
        ({**GOOD, "id": "2", "options": ["4", "4"]}, "stands there twice"),
        ({**GOOD}, "the id '1' stands there twice"),
        (
            {"id": "2", "question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "E"},
            "the answer 'E' is not among the labels A, B",
        ),
        ({"id": "2", "question": "q", "answerKey": "E"}, "neither AI2's nor Hugging Face's"),
        ({**ARC, "choices": {"text": "xy", "label": ["A", "B"]}}, "'text' is missing or no list of texts"),
        ({**ARC, "choices": {"text": ["x", None], "label": ["A", "B"]}}, "'text' is missing or no list of texts"),
        ({**ARC, "choices": {"text": ["x", "y"], "label": ["A", "A"]}}, "the label 'A' stands there twice"),
        ({**ARC, "choices": {"text": ["x", "y", "z"], "label": ["A", "B"]}}, "3 options and 2 labels"),
        ({**ARC, "choices": {"text": ["x", "y"], "label": "AB"}}, "'label' of its choices is missing or no list"),
        ({**ARC, "choices": {"text": ["x", "y"], "label": ["A", None]}}, "the label None is neither"),
        ({**ARC, "question": None}, "'question' is missing or no text"),
        ({**ARC, "question": {"stem": None, "choices": [{"text": "x", "label": "A"}]}}, "'stem' is missing or no text"),
        ({**ARC, "question": {"stem": "q", "choices": ["x", "y"]}}, "'question.choices' is no list of objects"),
        ({**ARC, "answerKey": None}, "'answerKey' is missing"),
        ({**GOOD, "id": ["2"]}, "'id' is .* neither a text nor a number"),
        ({**GOOD, "id": "2", "group": True}, "'group' is True, which is neither a text nor a number"),
        (
            {"id": "2", "question": "q", "option_a": 3, "option_b": "4", "answer": 0},
            "'option_a' is 3, which is no text",
        ),
        (
            {"id": "2", "question": "q", "option_a": "3", "option_c": "4", "answer": 0},
            "no column 'option_b', but one after",
        ),
        (
            '{"id": "2", "question": "q", "options": ["a", "b"], "answer": 0, "answer": 1}',
            "names the field 'answer' twice",
        ),
        ('{"id": "2", "question": "half \\ud83d", "options": ["a", "b"], "answer": 0}', "lone surrogate"),
        ('{"id": "half \\ud83d", "question": "q", "options": ["a", "b"], "answer": 0}', "lone surrogate"),
        ('{"id": "2", "question": "q", "options": ["a", "b"], "answer": ' + "9" * 5000 + "}", "more than 4,300 digits"),
        ({**GOOD, "id": "2", "answer": 10**2000}, "the answer a number of about 20.. digits is not among"),
        ({**GOOD, "id": "2", "answer": "9" * 5000}, "the answer '999.*999' is not among"),
        ("[" * 1000 + "]" * 1000, "more than 100 lists and objects within one another"),
        ('{"question": ' + '{"a":' * 1000 + "1" + "}" * 1001, "more than 100 lists and objects within one another"),
    ],
)
def test_bad_rows(tmp_path: Path, row: Any, reason: str) -> None:
    path = jsonl(tmp_path / "t.jsonl", [GOOD, "", row])
    with pytest.raises(TaskError, match=f"line 3: .*{reason}") as refusal:
        registry.load(path)
    assert "--skip-bad-rows" in str(refusal.value)
    (task,) = registry.load(path, skip_bad_rows=True)
    assert len(task.questions) == 1
    assert len(task.skipped) == 1
    assert "line 3" in task.skipped[0]


def test_a_name_of_zero_is_a_name(tmp_path: Path) -> None:
    """As the hub numbers rows and passages: from 0."""
    table = [{**GOOD, "id": i, "group": i // 2} for i in range(4)]
    (task,) = registry.load(jsonl(tmp_path / "t.jsonl", table))
    assert [(q.id, q.group) for q in task.questions] == [("0", "0"), ("1", "0"), ("2", "1"), ("3", "1")]
    arc = [{**ARC, "id": i, "group": 0} for i in range(2)]
    (task,) = registry.load(jsonl(tmp_path / "arc.jsonl", arc))
    assert [(q.id, q.group) for q in task.questions] == [("0", "0"), ("1", "0")]
    absent = [{**GOOD, "id": None, "group": ""}]
    (task,) = registry.load(jsonl(tmp_path / "absent.jsonl", absent))
    assert [(q.id, q.group) for q in task.questions] == [("1", "1")]


def test_layouts_of_the_hub(tmp_path: Path) -> None:
    """A list of choices with a position, as MMLU has; a prompt with columns A to E, as Kaggle has; absent options
    null."""
    table = [
        {"question": "q", "subject": "x", "choices": ["a", "b", "c"], "answer": 2},
        {"prompt": "q", "A": "a", "B": "b", "C": "c", "D": None, "E": "", "answer": "C"},
        {"prompt": "q", "choices": '["a", "b", "c"]', "answer": "c"},
    ]
    (task,) = registry.load(jsonl(tmp_path / "t.JSONL", table))
    assert [(q.text, q.options, q.gold) for q in task.questions] == [("q", ("a", "b", "c"), 2)] * 3
    file = tmp_path / "kaggle.CSV"
    file.write_text("id,prompt,A,B,C,D,E,answer\n0,q,a,b,c,,,C\n1,q,a,b,c,d,e,E\n")
    (task,) = registry.load(str(file))
    assert [(q.id, len(q.options), q.gold) for q in task.questions] == [("0", 3, 2), ("1", 5, 4)]


def test_an_unclosed_quote_swallows_no_row(tmp_path: Path) -> None:
    good = 'Which is it?,a,b,0\n"Which, then?",a,b,1\n'
    file = tmp_path / "t.csv"
    file.write_text(f'question,option_a,option_b,answer\n{good}"Which is it?,a,b,0\n{good}')
    with pytest.raises(TaskError, match="line 4: it has a quote that is not closed"):
        registry.load(str(file))
    (task,) = registry.load(str(file), skip_bad_rows=True)
    assert [q.id for q in task.questions] == ["2", "3", "5", "6"]
    assert len(task.skipped) == 1
    file.write_text(f'question,option_a,option_b,answer\n{good}"Which is it?,a,b,0\n')
    with pytest.raises(TaskError, match="line 4: it has a quote that is not closed"):
        registry.load(str(file))
    file.write_text(f'question,option_a,option_b,answer\n{good}"Which" is it?,a,b,0\n')
    with pytest.raises(TaskError, match="line 4: it has a quote in a wrong place"):
        registry.load(str(file))


def test_a_csv_cell_that_is_too_long(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(f"question,option_a,option_b,answer\nq,a,b,0\n{'x' * 131_073},a,b,0\nq,a,b,1\n")
    with pytest.raises(TaskError, match="line 3: it has a cell of more than 131,072 characters"):
        registry.load(str(file))
    (task,) = registry.load(str(file), skip_bad_rows=True)
    assert [q.id for q in task.questions] == ["2", "4"]


def test_a_file_all_of_whose_rows_are_bad_is_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "t.jsonl", ["{", "["])
    with pytest.raises(TaskError, match=r"holds no row that can be read \(line 1: it is no JSON"):
        registry.load(path, skip_bad_rows=True)


def test_csv_row_of_another_width_names_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('question,option_a,option_b,answer\n"two\nlines",x,y,A\nq,x,y\n')
    with pytest.raises(TaskError, match="line 4: it has 3 columns and the header 4"):
        registry.load(str(file))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("no.jsonl", None, "There is no task file"),
        ("b.jsonl", b"\xff\xfe\x00", "UTF-8"),
        ("x.txt", b"", "There is no task 'x.txt'"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(TaskError, match=reason):
        registry.load(name)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=26, unique=True), st.data())
def test_a_position_is_always_understood(options: list[str], data: st.DataObject) -> None:
    gold = data.draw(st.integers(0, len(options) - 1))
    found = rows.question(json.loads(json.dumps({"question": "q", "options": options, "answer": gold})), "1")
    assert found.options == tuple(options)
    assert found.gold == gold


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["question", "options", "answer", "choices", "answerKey", "text", "label", "stem"]),
                inner,
            )
        ),
    )
)
def test_any_json_is_a_question_or_a_reason(content: Any) -> None:
    row = content if isinstance(content, dict) else {"question": content}
    try:
        rows.question(row, "1")
    except TaskError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "question;option_a;option_b;answer\nq;a;b;0\n",
            r"must name its columns.*it is 'question;option_a;option_b;answer'",
        ),
        ("Question,Option_A,Option_B,Answer\nq,a,b,0\n", "must name its columns"),
        ("question,question,option_a,option_b,answer\nq,q,a,b,0\n", "names the column 'question' twice"),
        ("question,option_a,option_b,answer\n", "holds no question"),
        ("", "holds no question"),
    ],
)
def test_csv_that_cannot_be_read_is_told_by_its_first_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text)
    with pytest.raises(TaskError, match=sentence):
        list(row_files.read(file))
