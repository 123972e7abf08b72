"""Weights stored in one dtype, blocks computed in another: an 8B model in bfloat16 computes in float32 on a 24 GB
card."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

ROUNDING = {"float32": 1e-4, "float16": 4e-3, "bfloat16": 3e-2}
"""What share of the largest of them logits of the same model may differ by, per dtype, when its sums are taken in
another order (other batches, a cache, another device): four units in the last place of narrow dtypes; in float32, 4e-5
is seen."""


@contextmanager
def computing_in(dtype: torch.dtype, modules: Iterable[nn.Module]) -> Iterator[None]:
    """While this lasts, each of `modules` computes in `dtype`: its floating parameters are cast when it is called and
    put back when it returns.

    Nothing happens for modules already in `dtype`. Only one module's cast matrices exist at a time; a module of vectors
    alone is cast for as long as this lasts, since some networks ask a norm for its dtype before they call it.
    """
    with ExitStack() as hooks:
        for module in modules:
            if all(p.dtype == dtype for p in module.parameters() if p.is_floating_point()):
                continue
            if all(parameter.ndim < 2 for parameter in module.parameters()):
                hooks.enter_context(cast_to(dtype, module))
            stored: list[tuple[nn.Parameter, Tensor]] = []

            def widen(
                module: nn.Module, args: tuple[Any, ...], stored: list[tuple[nn.Parameter, Tensor]] = stored
            ) -> tuple[Any, ...]:
                for parameter in module.parameters():
                    if parameter.is_floating_point() and parameter.dtype != dtype:
                        stored.append((parameter, parameter.data))
                        parameter.data = parameter.data.to(dtype)
                return tuple(a.to(dtype) if isinstance(a, Tensor) and a.is_floating_point() else a for a in args)

            def restore(
                _module: nn.Module, _args: Any, _output: Any, stored: list[tuple[nn.Parameter, Tensor]] = stored
            ) -> None:
                while stored:
                    parameter, data = stored.pop()
                    parameter.data = data

            hooks.callback(module.register_forward_pre_hook(widen).remove)
            hooks.callback(module.register_forward_hook(restore, always_call=True).remove)
        yield


@contextmanager
def cast_to(dtype: torch.dtype, module: nn.Module) -> Iterator[None]:
    """While this lasts, the weights of `module` are stored in `dtype`."""
    before = [(parameter, parameter.data) for parameter in module.parameters()]
    try:
        stored_in(dtype, module)
        yield
    finally:
        for parameter, data in before:
            parameter.data = data


def stored_in(dtype: torch.dtype, network: nn.Module) -> None:
    """Store the weights of `network` in `dtype`. Buffers stay as wide as they are: positions, which no checkpoint
    holds, are made anew wide."""
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.to(dtype)
