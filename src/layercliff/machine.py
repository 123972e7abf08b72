"""Memory, versions, and errors of memory."""

import platform
import resource
import sys
from errno import ENOMEM
from importlib.metadata import version
from pathlib import Path

WANTING = ("can't allocate memory", "not enough memory", "MPS backend out of memory")
STATED = ("layercliff", "torch", "transformers", "tokenizers", "numpy")


def peak_memory_bytes() -> int:
    """The most memory held so far: of the CUDA device where it was used, else of the process."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():  # a child's ru_maxrss begins at its parent's peak; VmHWM is its own
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, of the process or of a device.

    CUDA raises a class of its own. On the CPU and on MPS, torch raises a `RuntimeError` with a known text.
    """
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == ENOMEM
    return isinstance(error, RuntimeError) and any(text in str(error) for text in WANTING)


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that decide numbers."""
    return {"python": platform.python_version(), **{name: version(name) for name in STATED}}
