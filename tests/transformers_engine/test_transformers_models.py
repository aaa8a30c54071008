"""The detectors of this engine: counts, initialisation, and weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from tiny_detrs import NAMES, rtdetr

from icr.detectors import DETECTORS
from icr.errors import InputError
from icr.transformers import build
from icr.transformers.plans import PLANS, configuration

COUNTS = {
    # name: parameters for 80, 10 and 1 classes; RT-DETR's equal those of the authors' code
    "rtdetrv2-r18": (20_184_464, 20_094_584, 20_083_028),
    "rtdetrv2-r34": (31_441_668, 31_333_798, 31_319_929),
    "rtdetrv2-r50": (42_891_372, 42_747_522, 42_729_027),
    "rtdetr-r18": (20_184_464, 20_094_584, 20_083_028),
    "rtdetr-r34": (31_441_668, 31_333_798, 31_319_929),
    "rtdetr-r50": (42_891_372, 42_747_522, 42_729_027),
    "dfine-n": (3_782_693, 3_737_613, 3_731_817),
    "dfine-s": (10_321_877, 10_231_997, 10_220_441),
}


@pytest.mark.parametrize("name", PLANS)
def test_parameter_counts(name: str) -> None:
    found = []
    for classes in (80, 10, 1):
        kind, config = configuration(name, [f"class {index}" for index in range(classes)], 640, {})
        with torch.device("meta"):
            found.append(sum(each.numel() for each in kind(config).parameters()))
    assert tuple(found) == COUNTS[name]


def test_each_is_registered_with_its_licence() -> None:
    assert {name for name, each in DETECTORS.items() if each.engine == "transformers"} == set(PLANS)
    assert all(DETECTORS[name].licence == "Apache-2.0" and DETECTORS[name].base == "giou" for name in PLANS)
    assert DETECTORS["rtdetrv2-r34"].paper == "RT-DETRv2 R34"


@pytest.mark.parametrize("name", ["rtdetrv2-r18", "rtdetr-r18", "dfine-n"])
def test_the_initialisation_is_mended(name: str) -> None:
    model = build(name, NAMES) if name == "dfine-n" else rtdetr(name)
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert norms and all((each.weight == 1).all() and (each.bias == 0).all() for each in norms)
    for head in (*model.model.decoder.class_embed, model.model.enc_score_head):
        torch.testing.assert_close(head.bias.sigmoid(), torch.full((2,), 0.01))
    assert model.training and model.config.id2label == {0: "plate", 1: "vehicle"}


def test_backbone_norms_are_trained_in_r18_and_frozen_in_r50() -> None:
    def trained(name: str) -> bool:
        backbone = rtdetr(name, encoder_in_channels=[16] * 3).model.backbone
        return any("normalization" in each for each, _ in backbone.named_parameters())

    assert trained("rtdetrv2-r18") and not trained("rtdetrv2-r50")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights") / "folder"
    rtdetr(decoder_layers=2).save_pretrained(folder)
    return folder


def test_weights_of_a_folder_are_taken_whole(saved: Path) -> None:
    said: list[str] = []
    first = rtdetr(decoder_layers=2, pretrained=saved, say=said.append)
    second = rtdetr(decoder_layers=2, pretrained=str(saved), say=said.append)
    assert not said
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_class_heads_are_made_anew_for_other_classes_and_that_is_said(saved: Path) -> None:
    said: list[str] = []
    settings: dict[str, Any] = {"decoder_layers": 2, "pretrained": saved}
    same = rtdetr(**settings)
    kind, _ = configuration("rtdetrv2-r18", NAMES, 640, {})
    three = build("rtdetrv2-r18", ["plate", "car", "bus"], say=said.append, **_settings(same), **settings)
    assert type(three) is kind and len(said) == 1 and "enc_score_head" in said[0] and "class_embed.1" in said[0]
    torch.testing.assert_close(three.model.enc_score_head.bias.sigmoid(), torch.full((3,), 0.01))
    other = {name for name, value in same.state_dict().items() if not torch.equal(value, three.state_dict()[name])}
    assert other and all("class_embed" in name or "enc_score_head" in name for name in other)


def _settings(model: Any) -> dict[str, Any]:
    from tiny_detrs import _THREE_LEVELS

    return {key: value for key, value in _THREE_LEVELS.items() if key != "decoder_layers"}


def test_weights_saved_with_frozen_norms_fit_trainable_ones(tmp_path: Path) -> None:
    rtdetr(decoder_layers=2, freeze_backbone_batch_norms=True).save_pretrained(tmp_path)
    said: list[str] = []
    model = rtdetr(decoder_layers=2, pretrained=tmp_path, say=said.append)
    assert not said and all(each.requires_grad for each in model.parameters())


def test_r50_freezes_its_stem_once_it_has_learnt(tmp_path: Path) -> None:
    scratch = rtdetr("rtdetrv2-r50", decoder_layers=2)
    assert all(each.requires_grad for each in scratch.parameters())
    scratch.save_pretrained(tmp_path)
    loaded = rtdetr("rtdetrv2-r50", decoder_layers=2, pretrained=tmp_path)
    frozen = [name for name, each in loaded.named_parameters() if not each.requires_grad]
    assert frozen and all(".embedder." in name for name in frozen)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "rtdetrv2-r19"}, "did you mean 'rtdetrv2-r18'"),
        ({"imgsz": 100}, "multiple of 32"),
        ({"names": []}, "names is empty"),
        ({"num_querys": 5}, "did you mean 'num_queries'"),
        ({"backbone_config": {"depth": [1]}}, "did you mean 'depths'"),
        ({"decoder_layers": 1}, "no decoder below 2 layers"),
        ({"num_queries": "many"}, "refuses its settings: .*num_queries"),
        ({"pretrained": "nowhere"}, "no such folder"),
        ({"pretrained": Path("nowhere")}, "no such folder"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(settings: dict[str, Any], said: str) -> None:
    asked = {"name": "rtdetrv2-r18", "names": NAMES, **settings}
    with pytest.raises(InputError, match=said) as refusal:
        build(asked.pop("name"), asked.pop("names"), **asked)
    assert "\n" not in str(refusal.value)


def test_a_file_is_not_taken_for_a_name_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "best.pt").touch()
    with pytest.raises(InputError, match="a file, no folder"):
        rtdetr(pretrained="weights/best.pt")


def test_a_folder_that_holds_something_else_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks config\.json and model\.safetensors"):
        rtdetr(pretrained=tmp_path)
    with pytest.raises(InputError, match=r"does not hold the weights of rtdetrv2-r18: .* is it another network's"):
        rtdetr(decoder_layers=3, pretrained=saved)
    (tmp_path / "config.json").write_bytes((saved / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(InputError, match="could not be loaded") as refusal:
        rtdetr(pretrained=tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("source", ["hub", "someone/something"])
def test_without_a_network_the_hub_is_refused_at_once(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("icr.transformers.pretrained.urlopen", unreachable)
    named = "PekingU/rtdetr_v2_r18vd" if source == "hub" else source
    with pytest.raises(InputError, match=f"the weights {named} cannot be fetched, no network") as refusal:
        build("rtdetrv2-r18", NAMES, pretrained=source)
    assert "\n" not in str(refusal.value)
