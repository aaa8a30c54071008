"""Trained detectors of Transformers load and predict, from our files and from folders of Transformers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from tiny_pictures import NAMES, SIZE, TINY
from transformers import RTDetrImageProcessor, YolosConfig, YolosForObjectDetection

from icr import checkpoints, detectors
from icr.errors import InputError
from icr.transformers import engine
from icr.transformers.prediction import TransformersPredictor, best, scale_of, stretched
from icr.transformers.settings import read
from icr.transformers.weights import start, write


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return start("rtdetrv2-r18", NAMES, SIZE, read(TINY), lambda text: None).network.eval()


@pytest.fixture(scope="module")
def stored(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    write(path, network, model="rtdetrv2-r18", imgsz=SIZE)
    return path


@pytest.fixture(scope="module")
def scenes():
    chance = np.random.default_rng(0)
    return [chance.integers(0, 255, shape, dtype=np.uint8) for shape in ((50, 80, 3), (96, 96, 3), (120, 40, 3))]


def test_stored_weights_give_the_same_output_and_know_their_classes_and_size(network, stored, scenes):
    predictor = detectors.load(stored)
    assert isinstance(predictor, TransformersPredictor)
    assert predictor.names == NAMES and predictor.imgsz == SIZE
    inputs = stretched(scenes[0], SIZE)[None]
    with torch.inference_mode():
        one, other = network(inputs), predictor.model(inputs)
    assert torch.equal(one.logits, other.logits) and torch.equal(one.pred_boxes, other.pred_boxes)


def test_the_header_tells_what_it_is(stored):
    header = checkpoints.read_header(stored)
    assert (header.engine, header.model, header.names, header.imgsz) == ("transformers", "rtdetrv2-r18", NAMES, SIZE)


def test_predictions_are_those_of_transformers_own_post_processing(network, scenes):
    """Same boxes, scores and classes as `RTDetrImageProcessor` gives, in pixels of each picture, best first."""
    predictor = TransformersPredictor(network, SIZE)
    inputs = torch.stack([stretched(scene, SIZE) for scene in scenes])
    sizes = [scene.shape[:2] for scene in scenes]
    with torch.inference_mode():
        wanted = RTDetrImageProcessor().post_process_object_detection(network(inputs), 0.0, target_sizes=sizes)
    found = list(predictor.predict(scenes, conf=0.0, max_det=20))
    for mine, theirs, (height, width) in zip(found, wanted, sizes, strict=True):
        assert mine.scores.tolist() == pytest.approx(theirs["scores"].tolist(), abs=1e-6)
        assert mine.labels.tolist() == theirs["labels"].tolist()
        edge = torch.tensor([width, height, width, height])
        boxes = torch.minimum(theirs["boxes"].clamp(min=0), edge)
        assert np.allclose(mine.boxes, boxes.numpy(), atol=1e-3)
        assert mine.scores.tolist() == sorted(mine.scores, reverse=True)


def test_a_picture_does_not_depend_on_the_others(network, scenes):
    predictor = TransformersPredictor(network, SIZE)
    together = list(predictor.predict(scenes, conf=0.0, batch=3))
    alone = [next(iter(predictor.predict([scene], conf=0.0))) for scene in scenes]
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(one.boxes, other.boxes, atol=1e-2) and np.allclose(one.scores, other.scores, atol=1e-5)


def test_scores_below_the_threshold_and_those_past_the_most_are_left_out(network, scenes):
    predictor = TransformersPredictor(network, SIZE)
    everything = next(predictor.predict(scenes[:1], conf=0.0))
    middle = float(np.median(everything.scores))
    assert (next(predictor.predict(scenes[:1], conf=middle)).scores >= middle).all()
    assert len(next(predictor.predict(scenes[:1], conf=0.0, max_det=3)).scores) == 3
    assert len(everything.scores) == TINY["queries"] * len(NAMES)


def test_one_query_may_be_of_two_classes():
    scores, labels, boxes = best(torch.tensor([[[3.0, 2.0], [-5.0, -6.0]]]), torch.arange(8.0).view(1, 2, 4), 2)
    assert labels.tolist() == [[0, 1]] and boxes[0, 0].equal(boxes[0, 1]) and bool((scores > 0.8).all())


def test_paths_and_arrays_give_the_same(network, pictures):
    predictor = TransformersPredictor(network, SIZE)
    path = pictures.parent / "images/val/000.png"
    from icr.drawing import read_picture

    by_path, by_array = (next(predictor.predict([each], conf=0.0)) for each in (path, read_picture(path)))
    assert np.array_equal(by_path.boxes, by_array.boxes)


def test_a_folder_of_transformers_loads(network, tmp_path, scenes):
    network.save_pretrained(tmp_path / "saved")
    predictor = detectors.load(tmp_path / "saved")
    one = next(TransformersPredictor(network, SIZE).predict(scenes[:1], conf=0.0))
    other = next(predictor.predict(scenes[:1], imgsz=SIZE, conf=0.0))
    assert np.array_equal(one.boxes, other.boxes) and predictor.names == NAMES


def test_a_folder_says_how_its_pictures_are_scaled(tmp_path):
    said = {
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
        "size": {"height": 320, "width": 320},
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    scale, side = scale_of(tmp_path)
    assert side == 320
    assert float(scale(torch.ones(1, 3, 2, 2)).mean()) == pytest.approx(2.0)
    assert scale_of(tmp_path / "absent")[1] is None


def test_weights_that_cannot_be_used_are_refused_in_one_line(tmp_path, stored):
    pickled, other = tmp_path / "pickled", tmp_path / "other"
    for folder in (pickled, other):
        folder.mkdir()
    (pickled / "config.json").write_text('{"model_type": "rt_detr_v2"}')
    (pickled / "pytorch_model.bin").write_bytes(b"x")
    YolosForObjectDetection(
        YolosConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[32, 32]
        )
    ).save_pretrained(other)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(stored.read_bytes()[:1000])
    foreign = tmp_path / "foreign.safetensors"
    checkpoints.write(foreign, checkpoints.Checkpoint("ultralytics", "yolov9-t", NAMES, 640))
    for weights, told in [
        (pickled, "holds no model.safetensors"),
        (other, "'yolos'; this engine takes rt_detr"),
        (cut, "damaged or no safetensors file"),
        (foreign, "engine 'ultralytics'"),
        (tmp_path / "absent.safetensors", "there is no such file"),
    ]:
        with pytest.raises(InputError, match=told) as error:
            engine.load(weights)
        assert "\n" not in str(error.value)


def test_fine_tuning_takes_over_all_but_the_classes(stored, network):
    said = []
    begin = start(str(stored), ["plate", "car", "bus"], SIZE, read({}), said.append)
    assert begin.model == "rtdetrv2-r18" and begin.network.config.num_labels == 3
    mine, theirs = begin.network.state_dict(), network.state_dict()
    assert torch.equal(
        mine["model.backbone.model.encoder.stages.0.layers.0.layer.0.convolution.weight"],
        theirs["model.backbone.model.encoder.stages.0.layers.0.layer.0.convolution.weight"],
    )
    assert mine["model.decoder.class_embed.0.weight"].shape[0] == 3
    assert any("made anew for 3" in text for text in said)


def test_weights_of_another_detector_are_refused_as_a_start(stored):
    with pytest.raises(InputError, match=r"weights of rtdetrv2-r18, not of rtdetrv2-r34"):
        start("rtdetrv2-r34", NAMES, SIZE, read({"pretrained": str(stored)}), lambda text: None)


def test_a_size_that_the_strides_do_not_divide_is_refused(network, scenes):
    with pytest.raises(InputError, match="multiple of 32"):
        TransformersPredictor(network, SIZE).predict(scenes, imgsz=100)
