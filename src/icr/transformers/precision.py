"""A detector's loss in float32 outside autocast, as the authors of RT-DETR compute it, with ICR and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LossResult = tuple[Tensor, dict[str, Tensor], Any]


class InFullPrecision:
    """A loss function of Transformers, given what the network found in float32.

    In float16 a score of 0.9998 is 1, and the 1e-8 that keeps its logarithm finite is 0. The matcher of Transformers
    then has an infinite cost, which it takes for the worst: the surest predictions are matched last.

    Attributes:
        loss: the function.
    """

    def __init__(self, loss: Callable[..., LossResult]) -> None:
        self.loss = loss

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, *args: Any, **kwargs: Any) -> LossResult:
        """Call the function as the network does."""
        logits: Tensor = args[0] if args else kwargs["logits"]
        with torch.autocast(logits.device.type, enabled=False):
            return self.loss(*widened(args), **widened(kwargs))


def widened(value: Any) -> Any:
    """The same with every tensor of half precision in float32, in lists, tuples and dictionaries too.

    Example:
        >>> widened({"logits": torch.zeros(1, dtype=torch.float16), "labels": [torch.tensor(1)]})["logits"].dtype
        torch.float32
    """
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if type(value) in (list, tuple):
        return type(value)(map(widened, value))
    return {key: widened(each) for key, each in value.items()} if type(value) is dict else value
