"""Values as strict JSON has them."""

import math
from typing import Any


def plain(value: Any) -> Any:
    """Lists for tuples, null for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
