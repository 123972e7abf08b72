"""What is printed: no control character of others, no character that an encoding lacks, no stream that is gone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Here
from rich.progress import Progress

from layercliff import errors, output
from layercliff.cli import app as cli_app
from layercliff.cli import console
from layercliff.report import terminal
from layercliff.rich_console import PlainConsole

COMMAND = [sys.executable, "-m", "layercliff"]
HOSTILE = "a\x1b]0;title\x07b\x0cc\u202ed\udcff"
SHOWN = r"a\x1b]0;title\x07b\x0cc\u202ed\udcff"


def printed(shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """What a shell's `$L` prints, which is the command line."""
    around = os.environ | {"L": " ".join(COMMAND)} | environment
    return subprocess.run(["bash", "-c", shell], capture_output=True, check=False, env=around)


def test_control_characters_are_written_out() -> None:
    """Text is not touched."""
    assert output.printable(HOSTILE) == SHOWN
    plain = "two\nlines\tof \u05d0\u200f, \U0001f600, caf\u00e9 \u200d"
    assert output.printable(plain) == plain
    assert output.printable_within({"\x1b": [HOSTILE, 1, ("\r",)]}) == {r"\x1b": [SHOWN, 1, [r"\r"]]}


@pytest.mark.parametrize(
    "code", [*range(0x100), 0x2029, *range(0x202A, 0x2030), *range(0x2060, 0x206B), 0xD800, 0xDFFF, 0xFFFE, 0xFFFF]
)
def test_json_holds_no_character_that_is_not_written_out(code: int) -> None:
    value = {"a": [chr(code), 1, f"\\{chr(code)}"], chr(code): None}
    assert json.loads(output.json_of(value)) == output.printable_within(value)


def test_a_console_takes_text_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("name", "[b]what[/b]"), [(HOSTILE, "[red]x[/nothing] :heart:")], title="[/] run[1]")
    PlainConsole().print(f"{HOSTILE} [/]")
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.count(SHOWN) == 2
    for text in ("[b]what[/b]", "[red]x[/nothing] :heart:", "[/] run[1]"):
        assert text in shown


def test_notes_and_stages_take_text_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as (report, note):
        report(f"reading {HOSTILE} [/]", 0, 1)
        note(f"{HOSTILE} [/]")
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert f"{SHOWN} [/]" in shown
    assert Progress  # drawn by rich


def test_a_refusal_is_one_line_without_control_characters(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise errors.TaskError(f"{HOSTILE}\n  and more: mend it.")

    monkeypatch.setattr(cli_app.app, "__call__", refuse)
    monkeypatch.setattr(type(cli_app.app), "__call__", refuse)
    done = here("models")
    assert done.returncode == 2
    assert done.stderr == f"layercliff: {SHOWN} and more: mend it.\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_lacks_is_replaced(encoding: str, tmp_path: Path) -> None:
    code = (
        "from layercliff import output\nfrom layercliff.report import terminal\nwith output.channels():\n    "
        "terminal.table(('█±', 'b'), [('◄ é', '日')])"
    )
    around = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=around)
    expected = {"ascii": "< ?", "latin-1": "< é"}[encoding]
    assert expected in done.stdout.decode(encoding)
    assert "#" in done.stdout.decode(encoding)


def test_streams_that_are_full_or_closed() -> None:
    full = printed("$L tasks >/dev/full")
    assert full.returncode == 2
    assert full.stderr.decode().startswith("layercliff: What is printed cannot be written (No space left on device)")
    assert len(full.stderr.splitlines()) == 1
    unread = printed("$L tasks | true; exit ${PIPESTATUS[0]}")
    assert (unread.returncode, unread.stderr) == (141, b"")
    closed = printed("$L tasks --subjects >&- 2>&-")
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, b"", b"")
    untold = printed("$L figures nowhere 2>/dev/full")
    assert (untold.returncode, untold.stdout) == (2, b"")


def test_a_run_goes_on_when_nobody_takes_what_it_tells(tmp_path: Path) -> None:
    code = (
        "from layercliff import output\nfrom layercliff.cli import console\n"
        "with output.channels():\n    with console.progress() as (report, note):\n"
        f"        [note('x' * 99) for _ in range(99)]\n    open({str(tmp_path / 'done')!r}, 'w')"
    )
    done = printed(f'{sys.executable} -c "$CODE" 2>/dev/full', CODE=code)
    assert done.returncode == 0
    assert (tmp_path / "done").exists()
