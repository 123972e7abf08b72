"""Loading a model: weights, tokenizer and anatomy, onto a device and in a dtype."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from layercliff.errors import ModelError
from layercliff.models import adapters, checkpoint_files, lookup, state_dict_check
from layercliff.models.checkpoint_files import StoredTensor
from layercliff.models.library_errors import LibraryErrors
from layercliff.models.lookup import LocatedModel
from layercliff.models.model import Model
from layercliff.models.surgery import cut
from layercliff.progress import Report, silent

UNPACKED = ("fp8", "mxfp8", "mxfp4", "compressed-tensors", "metal")  # quantisations that transformers can undo
CONFIGURATION = "correct its config.json, or download it again."
WEIGHTS = "compare its config.json with its weight files, or download both again."
TOKENIZER = "save it with its tokenizer's files, or download them again."


def load(
    name: str,
    dtype: str = "float32",
    weights_dtype: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    report: Report = silent,
) -> Model:
    """Bring a model onto this machine, load it and dissect it.

    Args:
        name: A packaged short name, a directory, a ``.gguf`` file, a hub id, or a step of a path as ``DIR@K``.
        dtype: What the blocks compute in: ``float32``, ``bfloat16`` or ``float16``.
        weights_dtype: What weights are stored in (default: the same).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        trust_remote_code: Run code that comes with the model.
        report: Is told of progress.

    Returns:
        A model, ready to be read.

    Raises:
        ModelError: Where it cannot be found, loaded or dissected.
    """
    return load_located(lookup.locate(name, report), dtype, weights_dtype, device, trust_remote_code)


def load_located(
    located: LocatedModel,
    dtype: str = "float32",
    weights_dtype: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
) -> Model:
    """`load` for a model that is on this machine already."""
    place = choose_device(device)
    stored = checkpoint_files.check(Path(located.location), located.name)
    config = configuration(located.name, located.location, trust_remote_code)
    try:
        network = _network(located, config, stored, getattr(torch, weights_dtype or dtype), trust_remote_code)
        if located.adapter is not None:
            network = adapters.merge(network, located.adapter, located.name)
        network = network.to(place)  # type: ignore[arg-type]
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The weights of {located.name} do not fit on {place}: store them with --weights-dtype bfloat16 or use "
            "--device cpu."
        ) from error
    own = located.adapter is not None and (located.adapter / "tokenizer_config.json").exists()
    words = tokenizer(located.name, str(located.adapter) if own else located.location, trust_remote_code)
    if located.kept is not None:
        cut(network, located.kept, located.blends)
    return Model.of(network, words, located.name, located.revision, getattr(torch, dtype))


def configuration(name: str, location: str, trust_remote_code: bool, **more: str) -> PretrainedConfig:
    """The configuration of a model at `location`, a directory or, with ``gguf_file``, a file in it. Raises
    `ModelError`."""
    if not more:
        checkpoint_files.read_json(Path(location) / "config.json")
    with LibraryErrors("configuration", name, CONFIGURATION):
        found: PretrainedConfig = AutoConfig.from_pretrained(location, trust_remote_code=trust_remote_code, **more)
    return found


def tokenizer(name: str, location: str, trust_remote_code: bool, **more: str) -> PreTrainedTokenizerBase:
    """The tokenizer beside a model. Raises `ModelError`, also for one that has no words, its files not being there."""
    with LibraryErrors("tokenizer", name, TOKENIZER):
        found: Any = AutoTokenizer.from_pretrained(location, trust_remote_code=trust_remote_code, **more)
        empty = not found("text").input_ids
    if empty:
        raise ModelError(
            f"The tokenizer of {name} gives a word no token, its files being missing or empty: {TOKENIZER}"
        )
    return found  # type: ignore[no-any-return]


def skeleton(name: str, config: PretrainedConfig, trust_remote_code: bool) -> PreTrainedModel:
    """The network that `config` describes, without weights. Raises `ModelError` where it describes none."""
    kind = auto_class(name, config)
    with LibraryErrors("configuration", name, CONFIGURATION), torch.device("meta"):
        found: PreTrainedModel = kind.from_config(config, trust_remote_code=trust_remote_code)
    return found


def auto_class(name: str, config: PretrainedConfig) -> Any:
    """The class of transformers that loads a language model of this configuration, or one inside a multimodal wrapper.

    Raises `ModelError` for other kinds of models.
    """
    own = getattr(config, "auto_map", None) or {}
    for kind in (AutoModelForCausalLM, AutoModelForMultimodalLM):
        if kind.__name__ in own or type(config) in kind._model_mapping:
            return kind
    if own:
        return AutoModelForCausalLM  # its own code is refused, or says itself what it lacks
    raise ModelError(
        f"{name} is a model of the type {config.model_type}, which does not continue text: give a causal language "
        "model."
    )


def choose_device(device: str) -> torch.device:
    """The torch device meant by `device`. ``auto`` prefers CUDA, then MPS. Raises `ModelError` for one this machine
    lacks."""
    if device == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, ImportError, AttributeError) as error:
        raise ModelError(f"The device {device!r} is not available here: use cpu, or one this machine has.") from error
    if place.type == "meta":
        raise ModelError("The device 'meta' holds no numbers: use cpu, or one this machine has.")
    return place


def _network(
    located: LocatedModel,
    config: PretrainedConfig,
    stored: Mapping[str, StoredTensor],
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> PreTrainedModel:
    """The network on the CPU, all of its tensors read, unpacked and in `dtype`. Raises `ModelError`."""
    kind = auto_class(located.name, config)
    quantised = _unpacking(located.name, config)
    blame = partial(skeleton, located.name, config, trust_remote_code)
    with LibraryErrors("weights", located.name, WEIGHTS, blame), adapters.left_out(located.location) as location:
        loaded: Any = kind.from_pretrained(
            location,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused by name below
            trust_remote_code=trust_remote_code,
        )
    network, told = loaded
    state_dict_check.check(located.name, config, told, stored)
    state_dict_check.check_precision(located.name, network, stored, quantised)
    if quantised:  # transformers leaves the rest in the dtype of its file, and what was unpacked in that of its scales
        wide = [*(network._keep_in_fp32_modules_strict or ())]
        wide += [*(network._keep_in_fp32_modules or ())] if dtype == torch.float16 else []
        for name, parameter in network.named_parameters():
            if parameter.is_floating_point() and not any(kept in name for kept in wide):
                parameter.data = parameter.data.to(dtype)
    return network  # type: ignore[no-any-return]


def _unpacking(name: str, config: PretrainedConfig) -> bool:
    """Ask for weights to be unpacked where the configuration names a quantisation. **Returns** whether it names one.

    Raises `ModelError` for one that transformers cannot undo.
    """
    found = False
    for owner in (config, config.get_text_config()):
        about = getattr(owner, "quantization_config", None)
        if not isinstance(about, dict):
            continue
        if (method := about.get("quant_method")) not in UNPACKED:
            what = f"as {method}, which" if method else "in a way that it does not name and that"
            raise ModelError(
                f"The weights of {name} are quantised, by its config.json, {what} cannot be unpacked here: "
                f"{state_dict_check.UNQUANTISED}"
            )
        owner.quantization_config = {**about, "dequantize": True}
        found = True
    return found
