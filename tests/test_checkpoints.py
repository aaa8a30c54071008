"""Weights and their settings in one safetensors file: the round trip, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from icr import checkpoints
from icr.checkpoints import Checkpoint
from icr.errors import InputError

safetensors = pytest.importorskip("safetensors.torch")


def made() -> Checkpoint:
    tied = torch.arange(6.0).reshape(2, 3)
    return Checkpoint(
        "transformers",
        "rtdetrv2-r18",
        ["plate", "车"],
        320,
        {"queries": 30},
        {"a": tied, "b": tied, "n": torch.tensor(3)},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    checkpoints.write(path, made())
    found = checkpoints.read(path)
    assert (found.engine, found.model, found.names, found.imgsz, found.settings) == (
        "transformers",
        "rtdetrv2-r18",
        ["plate", "车"],
        320,
        {"queries": 30},
    )
    assert {name: tensor.tolist() for name, tensor in found.tensors.items()} == {
        name: tensor.tolist() for name, tensor in made().tensors.items()
    }
    assert checkpoints.read_header(path) == Checkpoint(
        "transformers", "rtdetrv2-r18", ["plate", "车"], 320, {"queries": 30}
    )
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing half-written is left beside it"
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode, "others may read it as any other file"


def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    bare, damaged = tmp_path / "bare.safetensors", tmp_path / "damaged.safetensors"
    safetensors.save_file({"a": torch.zeros(2)}, str(bare))
    damaged.write_bytes(b"\x10\0\0\0\0\0\0\0no header")
    for path, said in ((bare, "what detector"), (damaged, "damaged"), (tmp_path / "none.safetensors", "no such file")):
        for read in (checkpoints.read, checkpoints.read_header):
            with pytest.raises(InputError, match=said) as refusal:
                read(path)
            assert "\n" not in str(refusal.value)
