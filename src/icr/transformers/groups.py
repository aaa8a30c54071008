"""Which weights learn how fast and which of them decay: AdamW's groups as in RT-DETRv2's recipes."""

from __future__ import annotations

from typing import Any

from torch import nn

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def parameter_groups(
    model: nn.Module, *, lr: float, backbone_lr: float, weight_decay: float, decay_biases: bool
) -> list[dict[str, Any]]:
    """Sort the trainable weights of a detector into groups for AdamW.

    Args:
        model: a detector of Transformers; its backbone's weights have `backbone` in their names.
        lr: of all weights outside the backbone.
        backbone_lr: of those in it.
        weight_decay: of all but norms.
        decay_biases: whether biases outside the backbone decay too, as in the R18's recipe.

    Returns:
        Groups with `params`, `lr` and `weight_decay`; every trainable weight is in one of them.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        >>> groups = parameter_groups(net, lr=1e-4, backbone_lr=1e-5, weight_decay=0.1, decay_biases=False)
        >>> [(len(group["params"]), group["lr"], group["weight_decay"]) for group in groups]
        [(1, 0.0001, 0.1), (3, 0.0001, 0.0)]
    """
    norms = {id(weight) for module in model.modules() if isinstance(module, _NORMS) for weight in module.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        backbone = "backbone" in name
        spared = id(weight) in norms or (not backbone and not decay_biases and name.endswith("bias"))
        rate = backbone_lr if backbone else lr
        groups.setdefault((rate, 0.0 if spared else weight_decay), []).append(weight)
    return [{"params": weights, "lr": rate, "weight_decay": decay} for (rate, decay), weights in groups.items()]
