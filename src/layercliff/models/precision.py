"""Weights stored in one dtype and computed in another.

So an 8B model in bfloat16 computes in float32 on a 24 GB card.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

ROUNDING = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}
"""How far logits of one model may differ by rounding, as a share of the largest, per dtype.

Sums are taken in another order with other batches, a cache or another device. Narrow dtypes get four units in the
last place. In float32, 4e-5 is seen.
"""

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""How far a pass that is built up anew may differ from the network's own, as a share of the largest, per dtype."""


@contextmanager
def computing_in(dtype: torch.dtype, modules: Iterable[nn.Module]) -> Iterator[None]:
    """Compute each of `modules` in `dtype`.

    Floating-point parameters are cast when a module is called and put back afterwards. Only one module's cast
    matrices exist at a time. A module that holds only vectors is cast for the whole time: some networks ask a norm
    for its dtype before they call it. Modules already in `dtype` are left alone.
    """
    with ExitStack() as hooks:
        for module in modules:
            if all(p.dtype == dtype for p in module.parameters() if p.is_floating_point()):
                continue
            if all(parameter.ndim < 2 for parameter in module.parameters()):
                hooks.enter_context(cast_to(dtype, module))
            stored: list[tuple[nn.Parameter, Tensor]] = []

            hooks.callback(module.register_forward_pre_hook(partial(_widen, dtype, stored)).remove)
            hooks.callback(module.register_forward_hook(partial(_restore, stored), always_call=True).remove)
        yield


def _widen(
    dtype: torch.dtype, stored: list[tuple[nn.Parameter, Tensor]], module: nn.Module, args: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Cast a module's parameters and inputs to `dtype`. What the parameters held goes to `stored`."""
    for parameter in module.parameters():
        if parameter.is_floating_point() and parameter.dtype != dtype:
            stored.append((parameter, parameter.data))
            parameter.data = parameter.data.to(dtype)
    return tuple(a.to(dtype) if isinstance(a, Tensor) and a.is_floating_point() else a for a in args)


def _restore(stored: list[tuple[nn.Parameter, Tensor]], _module: nn.Module, _args: Any, _output: Any) -> None:
    """Give parameters back what they held."""
    while stored:
        parameter, data = stored.pop()
        parameter.data = data


@contextmanager
def cast_to(dtype: torch.dtype, module: nn.Module) -> Iterator[None]:
    """Store the weights of `module` in `dtype` for a while."""
    before = [(parameter, parameter.data) for parameter in module.parameters()]
    try:
        stored_in(dtype, module)
        yield
    finally:
        for parameter, data in before:
            parameter.data = data


def stored_in(dtype: torch.dtype, network: nn.Module) -> None:
    """Store the weights of `network` in `dtype`.

    Buffers keep their width: positions are in no checkpoint and are made anew.
    """
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
