"""The files of the claims, found by their names: their number divides the error of all verdicts."""

import re
from pathlib import Path
from pkgutil import iter_modules

CLAIM_FILES = tuple(
    module.name for module in iter_modules([str(Path(__file__).parent)]) if re.match(r"c\d\d_", module.name)
)
"""Their modules' names, in order."""
