"""rich consoles for results and progress. Text is shown as it stands and cannot steer the terminal."""

from typing import Any

from rich.console import Console
from rich.text import Text

from layercliff.output import printable


class PlainConsole(Console):
    """A console on which no text is markup, emoji or a control sequence."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string as it is shown, in a table or by itself."""
        return super().render_str(printable(text), **options)
