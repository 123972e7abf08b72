"""Loading a model: weights, tokenizer and anatomy, onto a device and in a dtype."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from layercliff.errors import ModelError
from layercliff.models import sources
from layercliff.models.model import Model
from layercliff.models.sources import Located
from layercliff.models.surgery import cut
from layercliff.progress import Report, silent


def load(
    name: str,
    dtype: str = "float32",
    weights_dtype: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    report: Report = silent,
) -> Model:
    """Bring a model onto this machine, load it and dissect it.

    `dtype` is what the blocks compute in, `weights_dtype` what the weights are stored in (default: the same),
    `device` is ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. Code that comes with a model runs only with `trust_remote_code`.

    Raises `ModelError`.
    """
    return load_located(sources.locate(name, report), dtype, weights_dtype, device, trust_remote_code)


def load_located(
    located: Located,
    dtype: str = "float32",
    weights_dtype: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
) -> Model:
    """`load` for a model that is on this machine already."""
    place = choose_device(device)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            located.location,
            dtype=getattr(torch, weights_dtype or dtype),
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
        network, info = loaded
        network = network.to(place)
        tokenizer = AutoTokenizer.from_pretrained(located.location, **options)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The weights of {located.name} do not fit on {place}: store them with --weights-dtype bfloat16 or use --device cpu."
        ) from error
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{located.name} comes with its own code, which is not run unless you trust it: --trust-remote-code."
            ) from error
        raise ModelError(f"The model {located.name} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    if missing := sorted(info["missing_keys"]):
        raise ModelError(
            f"The checkpoint of {located.name} lacks {len(missing)} of the model's tensors ({missing[0]} for one): it is incomplete."
        )
    if located.kept is not None:
        cut(network, located.kept, located.blends)
    return Model.of(network, tokenizer, located.name, located.revision, getattr(torch, dtype))


def choose_device(device: str) -> torch.device:
    """The torch device meant by `device`; ``auto`` prefers CUDA, then MPS. Raises `ModelError` for one this machine lacks."""
    if device == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"The device {device!r} is not available here: use cpu, or one this machine has.") from error
    return place
