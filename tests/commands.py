"""The command line, run in the test's own process by the fixture `here`: a fresh one would import everything again."""

import subprocess
from collections.abc import Callable

Here = Callable[..., subprocess.CompletedProcess[str]]
