"""Exported files: their own description, decoding and suppression, refusals; what needs no engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from icr import exporting
from icr.cli.commands import run as icr
from icr.errors import InputError
from icr.predicting.boxes_out import DECODERS, suppress
from icr.predicting.exported import FITS, LAYOUTS, Description, describe


def described(**changes: object) -> Description:
    fields: dict[str, object] = {
        "engine": "ultralytics",
        "model": "yolo11n",
        "names": ["plate", "vehicle"],
        "imgsz": 64,
        "layout": "end2end",
        "fit": "letterbox",
    }
    return Description(**{**fields, **changes})  # type: ignore[arg-type]


def test_every_layout_has_a_decoder() -> None:
    assert set(DECODERS) == set(LAYOUTS)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_description_comes_back(layout: str, fit: str) -> None:
    made = described(
        layout=layout, fit=fit, names=["Kennzeichen 'neu'", "Fahrzeug: gr\u00fcn"], relations=(("a;b", ("c:d", "e")),)
    )
    assert describe(made.metadata(), "x.onnx") == made


@pytest.mark.parametrize("spoilt", [{"layout": "mask"}, {"names": "{"}, {"imgsz": "[]"}, {"engine": None}])
def test_a_file_that_does_not_say_how_to_read_it_is_refused(spoilt: dict[str, str | None]) -> None:
    metadata = {key: value for key, value in {**described().metadata(), **spoilt}.items() if value is not None}
    with pytest.raises(InputError, match="made by icr export"):
        describe(metadata, "x.onnx")


def test_suppression_equals_torchvisions() -> None:
    ops = pytest.importorskip("torchvision.ops")
    chance = np.random.default_rng(0)
    low = chance.uniform(0, 80, (400, 2))
    boxes = np.concatenate([low, low + chance.uniform(2, 40, (400, 2))], 1)
    scores, labels = -np.sort(-chance.uniform(0, 1, 400)), chance.integers(0, 3, 400)
    expected = ops.batched_nms(*(torch.from_numpy(each) for each in (boxes, scores, labels)), 0.4)
    assert suppress(boxes, scores, labels, 0.4, 1000).tolist() == expected.tolist()
    assert suppress(boxes, scores, labels, 0.4, 7).tolist() == expected.tolist()[:7]


def test_layouts_say_the_same_box() -> None:
    """One box, 10 to 30 by 20 to 60 pixels of a 100 x 80 input, of class 1, in each way of writing it."""
    size = (80, 100)
    anchors = np.array([[[20.0], [40.0], [20.0], [40.0], [0.1], [0.9]]], np.float32)
    rows = np.array([[[10, 20, 30, 60, 0.9, 1.0], [0, 0, 5, 5, 0.1, 0.0]]], np.float32)
    queries = np.array([[[0.2, 0.5, 0.2, 0.5, 0.9, 1.0]]], np.float32)
    logits = np.log(np.array([[[0.1, 0.9]]]) / np.array([[[0.9, 0.1]]]))
    outputs = {
        "anchors": [anchors],
        "end2end": [rows],
        "queries": [queries],
        "logits": [logits, np.array([[[0.2, 0.5, 0.2, 0.5]]])],
    }
    for layout, output in outputs.items():
        ((boxes, scores, labels),) = DECODERS[layout](output, size, 0.5, 0.7, 300)
        np.testing.assert_allclose(boxes, [[10, 20, 30, 60]], rtol=1e-6, err_msg=layout)
        assert scores == pytest.approx([0.9]) and labels.tolist() == [1], layout


def test_the_best_come_first_and_only_so_many() -> None:
    rows = np.zeros((1, 5, 6), np.float32)
    rows[0, :, 4] = [0.2, 0.9, 0.4, 0.05, 0.7]
    ((_, scores, _),) = DECODERS["end2end"]([rows], (64, 64), 0.1, 0.7, 3)
    assert scores == pytest.approx([0.9, 0.7, 0.4])


class Boxes(torch.nn.Module):
    """A network that always finds one box in the middle of its input, as bright as the picture is."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        score = pictures.mean((1, 2, 3)).view(-1, 1, 1)
        middle = torch.tensor([16.0, 16.0, 48.0, 48.0]) + 0 * score
        return torch.cat([middle, score, torch.ones_like(score)], 2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    file = tmp_path_factory.mktemp("exported") / "boxes.onnx"
    exporting.write(exporting.Exportable(Boxes(), described(fit="stretch"), free_size=False), file)
    return file


def test_an_exported_file_predicts_in_pixels_of_the_picture(exported: Path) -> None:
    from icr.predicting.onnx import load

    predictor = load(exported)
    assert (predictor.names, predictor.imgsz) == (["plate", "vehicle"], 64)
    pictures = [np.full((32, 128, 3), value, np.uint8) for value in (255, 51)]
    first, second = predictor.predict(pictures, conf=0.1)
    np.testing.assert_allclose(first.boxes, [[32, 8, 96, 24]])
    assert first.scores == pytest.approx([1.0]) and second.scores == pytest.approx([0.2], rel=1e-5)
    assert [path.name for path in exported.parent.iterdir()] == ["boxes.onnx"], "no half of a file is left"


class Picky(torch.nn.Module):
    """A network that cannot be run at a small size."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1).topk(20_000).values


def test_a_size_that_the_network_cannot_take_is_refused_and_leaves_nothing(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(InputError, match=r"yolo11n cannot be exported at 64 px: .*--imgsz large enough"):
        exporting.write(exporting.Exportable(Picky(), described(), free_size=False), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_another_size_than_exported_is_refused(exported: Path) -> None:
    from icr.predicting.onnx import load

    with pytest.raises(InputError, match=r"exported for 64 px alone.*--imgsz 96"):
        list(load(exported).predict([np.zeros((9, 9, 3), np.uint8)], imgsz=96))


def test_weights_of_any_kind_are_checked_before_work(
    tmp_path: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "best.pt"
    weights.touch()
    (tmp_path / "best.onnx").touch()
    for arguments, said in (
        ([str(tmp_path / "none.pt")], "not there"),
        ([str(exported)], "exported already"),
        ([str(weights), "--format", "onx"], "did you mean 'onnx'?"),
        ([str(weights), "--imgsz", "50"], "multiple of 32"),
        ([str(weights)], "nothing is written over"),
        ([str(weights), "--out", str(tmp_path / "no" / "x.onnx")], "make it first"),
        ([str(weights), "--out", str(tmp_path / "x.pb")], "ends in .onnx"),
    ):
        assert icr(["export", *arguments]) == 2, arguments
        assert said in capsys.readouterr().err


def test_the_refusals_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    assert icr(["predict", str(tmp_path / "x.onnx"), str(tmp_path), "--device", "cpu"]) == 2
    assert icr(["eval", str(tmp_path / "x.onnx"), str(tmp_path / "data.yaml"), "--device", "cpu"]) == 2
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("icr: ")
