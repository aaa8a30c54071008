# SPDX-License-Identifier: AGPL-3.0-only
"""Exports of Ultralytics' detectors: the same boxes, the same graph with and without ICR, and no framework to run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_scenes import DETR, SIZE

from icr import detectors, exporting

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Trained = Callable[..., Path]


def pictures(scenes: Path) -> list[Path]:
    return sorted((scenes.parent / "images" / "val").iterdir())


def outspoken(net: Path, target: Path) -> Path:
    """Weights of a detector that was not trained but finds boxes all over, of clearly different scores."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(3)
    model = DetectionModel(str(net), nc=2, verbose=False)
    model.names = {0: "plate", 1: "vehicle"}
    head = model.model[-1]
    for branch in (*head.cv3, *getattr(head, "one2one_cv3", ())):
        torch.nn.init.normal_(branch[-1].weight, std=2.0)
        torch.nn.init.constant_(branch[-1].bias, -2.0)
    torch.save({"model": model, "train_args": {"imgsz": SIZE, "model": str(net)}}, target)
    return target


def outspoken_queries(folder: Path) -> Path:
    """The same of a small RT-DETR."""
    from ultralytics.nn.tasks import RTDETRDetectionModel

    (folder / "detr.yaml").write_text(DETR)
    torch.manual_seed(0)
    model = RTDETRDetectionModel(str(folder / "detr.yaml"), nc=2, verbose=False)
    model.names = {0: "plate", 1: "vehicle"}
    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    torch.save({"model": model, "train_args": {"imgsz": SIZE}}, folder / "best.pt")
    return folder / "best.pt"


@pytest.fixture(scope="module", params=["plain", "end2end", "detr"])
def pair(
    request: pytest.FixtureRequest, nets: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Weights, and what was exported of them."""
    folder = tmp_path_factory.mktemp("exported")
    queries = request.param == "detr"
    weights = outspoken_queries(folder) if queries else outspoken(getattr(nets, request.param), folder / "best.pt")
    return weights, exporting.export(weights)


@pytest.mark.parametrize("shape", [(96, 96), (70, 120), (200, 64)])
def test_the_boxes_are_those_of_the_trained_detector(
    pair: tuple[Path, Path], scenes: Path, shape: tuple[int, int]
) -> None:
    """Pictures of the size of the input, and such as must be scaled and padded."""
    weights, exported = pair
    chance = np.random.default_rng(0)
    shown = [chance.integers(0, 255, (*shape, 3), dtype=np.uint8) for _ in range(3)]
    before, after = (detectors.load(file) for file in (weights, exported))
    assert before.names == after.names == ["plate", "vehicle"] and after.imgsz == SIZE  # type: ignore[attr-defined]
    for ours, theirs in zip(after.predict(shown, conf=0.01), before.predict(shown, conf=0.01), strict=True):
        assert len(ours.boxes) == len(theirs.boxes) > 0
        # A picture that is scaled may differ by a grey level where OpenCV rounds otherwise.
        close = 1e-4 if shape == (96, 96) else 5e-3
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=close)
        for box, label in list(zip(theirs.boxes, theirs.labels, strict=True))[
            :20
        ]:  # boxes of a score may change places
            apart = np.abs(ours.boxes - box).max(1) + 1e3 * (ours.labels != label)
            assert apart.min() < (0.05 if shape == (96, 96) else 0.3), (box, ours.boxes[apart.argmin()])


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_the_graph_holds_nothing_of_icr(trained: Trained, nets: SimpleNamespace, tmp_path: Path, net: str) -> None:
    """The same weights, once in a model with our loss and once in one that never heard of it."""
    from ultralytics.nn.tasks import DetectionModel

    from icr.relations import ResolvedRelation
    from icr.ultralytics.exporting import prepare
    from icr.ultralytics.loss import RelatedModel, related
    from icr.ultralytics.settings import BoxLoss
    from icr.ultralytics.weights import read

    state = read(trained("icr", net) / "weights" / "best.pt").state_dict()
    graphs = []
    for with_icr in (False, True):
        model = DetectionModel(str(getattr(nets, net)), nc=2, verbose=False)
        model.load_state_dict(state)
        model.names = {0: "plate", 1: "vehicle"}
        if with_icr:
            related(model, BoxLoss("ciou", "product", (ResolvedRelation(0, (1,), 2.5),)))
            assert type(model) is RelatedModel
        target = tmp_path / f"{with_icr}.onnx"
        exporting.write(prepare(model, net, SIZE), target)
        graphs.append(onnx.load(str(target)))
    assert graphs[0].SerializeToString(deterministic=True) == graphs[1].SerializeToString(deterministic=True)
    assert not [node.name for node in graphs[1].graph.node if "icr" in f"{node.name} {node.op_type}".lower()]


@pytest.mark.parametrize("pair", ["plain", "end2end"], indirect=True)
def test_ultralytics_itself_runs_the_file(pair: tuple[Path, Path], scenes: Path) -> None:
    from ultralytics import YOLO

    picture = pictures(scenes)[0]
    (theirs,) = YOLO(str(pair[1]), task="detect").predict(str(picture), conf=0.01, iou=0.7, verbose=False, device="cpu")
    (ours,) = detectors.load(pair[1]).predict([picture], conf=0.01)
    assert theirs.names == {0: "plate", 1: "vehicle"}
    found = theirs.boxes.data.numpy()
    best = found[found[:, 4].argsort()[::-1]][:3]
    np.testing.assert_allclose(best[:, 4], ours.scores[:3], atol=5e-3)


BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"ultralytics", "transformers", "torchvision", "cv2"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from icr.cli.commands import run
sys.exit(run(sys.argv[1:]))
"""


def test_predict_and_eval_need_onnxruntime_alone(nets: SimpleNamespace, scenes: Path, tmp_path: Path) -> None:
    """`icr predict model.onnx` and `icr eval model.onnx` where no framework can be imported, parents included."""
    exported = exporting.export(outspoken(nets.plain, tmp_path / "best.pt"), out=tmp_path / "plates.onnx")

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = str(scenes.parent / "images" / "val")
    relation = ("--relation", "plate:vehicle")
    found = json.loads(command("predict", str(exported), folder, *relation, "--conf", "0.01", "--json"))
    assert len(found) == 4 and all(len(each["parents"]) == len(each["boxes"]) for each in found)
    assert any(parent >= 0 for each in found for parent in each["parents"])
    told = json.loads(command("eval", str(exported), str(scenes), "--split", "val", "--resamples", "0", "--json"))
    from icr.cli import commands  # the same by the weights themselves

    assert set(told["classes"]) == {"plate", "vehicle"} and told["images"] == 4
    assert (
        commands.run(["eval", str(exported), str(scenes), "--split", "val", "--imgsz", "128", "--resamples", "0"]) == 0
    )


def test_an_exported_file_alone_knows_whose_child_is_whose(
    nets: SimpleNamespace, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The relations of the run go with the file; a run folder is not needed."""
    from icr.cli.commands import run as icr

    weights = tmp_path / "run" / "weights" / "best.pt"
    weights.parent.mkdir(parents=True)
    outspoken(nets.plain, weights)
    relation = {"child": "plate", "parent": ["vehicle"], "weight": 2.5}
    (tmp_path / "run" / "run.json").write_text(json.dumps({"relations": [relation]}))
    alone = exporting.export(weights, out=tmp_path / "plates.onnx")
    capsys.readouterr()
    words = [str(pictures(scenes)[0]), "--out", str(tmp_path / "found"), "--conf", "0.01", "--device", "cpu", "--json"]
    assert icr(["predict", str(alone), *words]) == 0
    out, err = capsys.readouterr()
    assert "plate:vehicle, as trained with (plates.onnx)" in err
    assert max(json.loads(out)[0]["parents"]) >= 0


def test_the_command_writes_beside_the_weights_and_never_over(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from icr.cli.commands import run as icr

    weights = tmp_path / "best.pt"
    weights.write_bytes((trained("icr") / "weights" / "best.pt").read_bytes())
    capsys.readouterr()
    assert icr(["export", str(weights), "--format", "onnx", "--imgsz", "64", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(tmp_path / "best.onnx") and told["imgsz"] == 64 and told["names"] == ["plate", "vehicle"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.onnx", "best.pt"]
    assert icr(["export", str(weights)]) == 2
    assert "nothing is written over" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["yolov9-t", *(pytest.param(each, marks=pytest.mark.slow) for each in ("uav-detr-r18", "rtdetr-resnet50"))],
)
def test_other_architectures_are_exported_without_what_only_training_needs(name: str, tmp_path: Path) -> None:
    import onnxruntime

    from icr.ultralytics.building import build
    from icr.ultralytics.exporting import prepare

    torch.manual_seed(0)
    model = build(name, 2)
    model.names = {0: "plate", 1: "vehicle"}
    made = prepare(model, name, 160)
    exporting.write(made, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    scores = 4
    for pictures in (1, 3):
        shown = torch.rand(pictures, 3, 160, 160)
        with torch.no_grad():
            theirs = made.module(shown).numpy()
        (ours,) = session.run(None, {exporting.INPUT: shown.numpy()})
        assert ours.shape == theirs.shape
        if made.description.layout == "anchors":
            np.testing.assert_allclose(ours, theirs, atol=1e-3)
        else:  # queries of nearly the same score may change places
            np.testing.assert_allclose(np.sort(ours[..., scores]), np.sort(theirs[..., scores]), atol=1e-5)
    assert not [node for node in onnx.load(str(tmp_path / "x.onnx")).graph.node if "aux" in node.name]
