"""Base losses by name, open to users.

A loss is a function of two box tensors ``(..., 4)`` that returns one value per pair ``(...)``:

    @icr.losses.register("mine")
    def mine(pred, target): ...

From then on ``"mine"``, ``"inner-mine"`` and ``"focaler-mine"`` are names that every function and command takes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from torch import Tensor

from icr.boxes import Comparison, compare
from icr.errors import InputError, nearest

BaseLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Predicted boxes and their targets, xyxy ``(..., 4)``, to one loss per pair ``(...)``."""

Modifier: TypeAlias = Callable[..., BaseLoss]
"""A base loss, and numbers that have defaults, to another base loss."""

_Loss = TypeVar("_Loss", bound=BaseLoss)
_Change = TypeVar("_Change", bound=Modifier)

_losses: dict[str, BaseLoss] = {}
_modifiers: dict[str, Modifier] = {}
_number_of_numbers: dict[str, int] = {}


def register(name: str) -> Callable[[_Loss], _Loss]:
    """Enter a base loss under a name.

    Args:
        name: in lower case, without ``@``.

    Returns:
        A decorator that returns the function unchanged. Boxes reach the function as float32 or float64, within ±1e6.

    Raises:
        InputError: the name is taken by another function, or is not lower case.

    Example:
        >>> @register("corner-distance")
        ... def corner_distance(pred, target):
        ...     return (pred - target).abs().mean(-1)
        >>> "corner-distance" in names()
        True
        >>> unregister("corner-distance")
    """

    def enter(loss: _Loss) -> _Loss:
        _check_free(_losses, name, loss)
        _losses[name] = loss
        return loss

    return enter


def register_modifier(name: str, numbers: int = 0) -> Callable[[_Change], _Change]:
    """Enter a modifier, so that ``<name>-<base>`` names the modified loss; see :mod:`icr.losses.modifiers`.

    Args:
        name: in lower case, without ``@`` and ``-``.
        numbers: how many settings may follow as ``<name>@1,2-<base>``.
    """

    def enter(modifier: _Change) -> _Change:
        _check_free(_modifiers, name, modifier)
        _modifiers[name], _number_of_numbers[name] = modifier, numbers
        return modifier

    return enter


def _check_free(table: Mapping[str, Callable[..., object]], name: str, entry: Callable[..., object]) -> None:
    if not name or name != name.lower() or "@" in name:
        raise InputError(f"a loss named {name!r}: expected lower case without '@'")
    held = table.get(name)
    # a notebook cell that runs again defines the same function anew
    if held is not None and _origin(held) != _origin(entry):
        raise InputError(f"the name {name!r} already belongs to {'.'.join(_origin(held))}; choose another")


def _origin(entry: Callable[..., object]) -> tuple[str, str]:
    return getattr(entry, "__module__", ""), getattr(entry, "__qualname__", type(entry).__qualname__)


def over_comparison(formula: Callable[[Comparison], Tensor]) -> BaseLoss:
    """Make a base loss of a formula over :func:`icr.boxes.compare`.

    The loss takes boxes like any other. ICR finds the formula under ``of_comparison``, and compares the boxes once for
    both.

    Example:
        >>> from torch import tensor
        >>> lost = over_comparison(lambda pair: 1 - pair.iou)
        >>> lost(tensor([0.0, 0.0, 4.0, 2.0]), tensor([2.0, 0.0, 6.0, 2.0]))
        tensor(0.6667)
    """

    @functools.wraps(formula)
    def loss(pred: Tensor, target: Tensor) -> Tensor:
        return formula(compare(pred, target))

    loss.of_comparison = formula  # type: ignore[attr-defined]
    return loss


def unregister(name: str) -> None:
    """Take a base loss out again; an unknown name is no error."""
    _losses.pop(name, None)


def names() -> tuple[str, ...]:
    """Names of the base losses in order of registration, without modifiers."""
    return tuple(_losses)


def get(base: str | BaseLoss) -> BaseLoss:
    """Find a base loss.

    Args:
        base: a registered name, a name with modifiers before it (``inner-ciou``, ``focaler-inner-ciou``, with numbers
            ``inner@0.8-ciou``, ``focaler@0.1,0.9-ciou``), or any callable, which is returned as it is.

    Raises:
        InputError: neither name nor callable, or an unknown name (with all names and the nearest match).

    Example:
        >>> get("ciou").__name__
        'ciou'
        >>> get("cioo")
        Traceback (most recent call last):
        ...
        icr.errors.InputError: unknown base loss 'cioo'; known: iou, giou, diou, ciou, eiou, nwd, siou, each also \
with inner- or focaler- before it; did you mean 'ciou'?
    """
    if not isinstance(base, str):
        if not callable(base):
            raise InputError(f"base loss is {base!r}; expected a name such as 'ciou', or a callable (pred, target)")
        return base
    name = base.lower()
    if name in _losses:
        return _losses[name]
    head, dash, rest = name.partition("-")
    modifier, at, numbers = head.partition("@")
    if dash and modifier in _modifiers:
        return _modifiers[modifier](get(rest), *(_numbers(numbers, _number_of_numbers[modifier], base) if at else ()))
    prefixes = " or ".join(f"{each}-" for each in _modifiers)
    raise InputError(
        f"unknown base loss {base!r}; known: {', '.join(_losses)}, each also with {prefixes} before it"
        f"{nearest(name, [*_losses, *(f'{modifier}-{loss}' for modifier in _modifiers for loss in _losses)])}"
    )


def _numbers(text: str, most: int, base: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"base loss {base!r}: expected numbers after '@', as in 'inner@1.25-ciou'") from None
    if len(numbers) > most:
        raise InputError(f"base loss {base!r}: {len(numbers)} numbers after '@', expected at most {most}")
    return numbers
