# SPDX-License-Identifier: AGPL-3.0-only
"""Without ICR, and with ICR of weight 0, a training is Ultralytics' own, to the last digit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_scenes import results


@pytest.mark.parametrize("net", ["plain", "end2end"])
@pytest.mark.parametrize("kind", ["off", "weight 0"])
def test_every_column_equals_stock_ultralytics(trained: Callable[..., Path], kind: str, net: str) -> None:
    stock, ours = results(trained("stock", net)), results(trained(kind, net))
    assert len(stock) == len(ours) == 2
    for theirs, mine in zip(stock, ours, strict=True):
        assert {key: mine[key] for key in theirs if key != "time"} == {
            key: value for key, value in theirs.items() if key != "time"
        }


def test_weight_0_still_carries_the_pairs(trained: Callable[..., Path]) -> None:
    assert float(results(trained("weight 0"))[-1]["train/icr_pairs"]) > 0
    assert float(results(trained("weight 0"))[-1]["train/icr_factor"]) == 1.0


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_icr_changes_the_training(trained: Callable[..., Path], net: str) -> None:
    stock, ours = results(trained("stock", net)), results(trained("icr", net))
    assert ours[-1]["train/box_loss"] != stock[-1]["train/box_loss"]


def test_columns_of_icr_are_there_for_training_and_validation(trained: Callable[..., Path]) -> None:
    for each in results(trained("icr")):
        for split in ("train", "val"):
            assert float(each[f"{split}/icr_pairs"]) > 0
            assert 0 <= float(each[f"{split}/icr_containment"]) <= 1
            assert float(each[f"{split}/icr_factor"]) >= 1
    assert not any("icr" in column for column in results(trained("off"))[0])
