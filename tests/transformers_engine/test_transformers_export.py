"""Exports of Transformers' detectors: the same boxes, and the same graph with and without ICR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import icr.transformers
from icr import detectors, exporting
from icr.transformers.models import build
from icr.transformers.weights import write

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NAMES = ["plate", "vehicle"]
SIZE = 96


def outspoken(name: str) -> Any:
    """A small network of that kind whose answers differ clearly from query to query."""
    torch.manual_seed(0)
    network = build(name, NAMES, imgsz=SIZE, num_queries=12, decoder_layers=2)
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    return network.eval()


@pytest.fixture(scope="module", params=["rtdetrv2-r18", "dfine-s"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights as `icr train` leaves them, and what was exported of them."""
    weights = tmp_path_factory.mktemp("weights") / "best.safetensors"
    write(weights, outspoken(request.param), model=request.param, imgsz=SIZE)
    return weights, exporting.export(weights)


def test_the_boxes_are_those_of_the_trained_detector(files: tuple[Path, Path]) -> None:
    chance = np.random.default_rng(0)
    shown = [chance.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(2)]
    before, after = (detectors.load(file) for file in files)
    assert before.names == after.names == NAMES
    for theirs, ours in zip(before.predict(shown, conf=0.0), after.predict(shown, conf=0.0), strict=True):
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
        for box, label in list(zip(theirs.boxes, theirs.labels, strict=True))[:6]:
            assert (np.abs(ours.boxes - box).max(1) + 1e3 * (ours.labels != label)).min() < 0.01


@pytest.mark.parametrize("shape", [(70, 120), (200, 64)])
def test_pictures_go_in_as_in_training(shape: tuple[int, int]) -> None:
    from icr.predicting.exported import Description
    from icr.predicting.onnx import _fitted, _placed
    from icr.transformers.prediction import stretched

    told = Description("transformers", "rtdetrv2-r18", NAMES, SIZE, "logits", "stretch-smooth")
    picture = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    ours = _fitted(picture, _placed(picture, SIZE, told), told)
    assert np.abs(ours - stretched(picture, SIZE).numpy()).max() < 1.01 / 255


def test_the_graph_holds_nothing_of_icr(tmp_path: Path) -> None:
    from icr.transformers.exporting import prepare

    graphs = []
    for with_icr in (False, True):
        network = outspoken("rtdetrv2-r18")
        if with_icr:
            network.loss_function = icr.transformers.loss_function(network, "plate:vehicle")
        target = tmp_path / f"{with_icr}.onnx"
        exporting.write(prepare(network, "rtdetrv2-r18", SIZE), target)
        graphs.append(onnx.load(str(target)))
    assert graphs[0].SerializeToString(deterministic=True) == graphs[1].SerializeToString(deterministic=True)


def test_a_folder_of_transformers_is_exported_with_its_scale_of_pixels(tmp_path: Path) -> None:
    network = outspoken("rtdetrv2-r18")
    network.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "preprocessor_config.json").write_text(
        '{"do_normalize": true, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2],'
        f' "size": {{"height": {SIZE}, "width": {SIZE}}}}}'
    )
    exported = exporting.export(tmp_path / "saved")
    assert exported == tmp_path / "saved" / "model.onnx"
    shown = [np.random.default_rng(1).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)]
    (theirs,), (ours,) = (
        list(detectors.load(each).predict(shown, conf=0.0)) for each in (tmp_path / "saved", exported)
    )
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)
