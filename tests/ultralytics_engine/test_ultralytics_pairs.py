# SPDX-License-Identifier: AGPL-3.0-only
"""Each child keeps its own parent: from the label files, through augmentation, into the batch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tiny_scenes import SIZE, row, write_set
from ultralytics.cfg import get_cfg
from ultralytics.data.utils import check_det_dataset

from icr.relations import Relation, resolve
from icr.ultralytics.dataset import PARENT, PairedDataset
from icr.ultralytics.pairs import padded_parents, parent_rows


def build(data_yaml: Path, relations: list[Relation], *, augment: bool = True, **settings: Any) -> PairedDataset:
    data = check_det_dataset(str(data_yaml))
    return PairedDataset(
        img_path=data["train"],
        imgsz=SIZE,
        augment=augment,
        hyp=get_cfg(overrides=settings),
        batch_size=4,
        data=data,
        relations=resolve(relations, data["names"]),
    )


PLATE = [Relation("plate", "vehicle")]


def test_parent_rows_equals_a_plain_search() -> None:
    chance = np.random.default_rng(0)
    for _ in range(20):
        count = int(chance.integers(1, 60))
        picture = np.sort(chance.integers(0, 4, count))
        seen: set[tuple[int, int, int]] = set()
        ids = []
        for place in picture:
            draw, index = (int(each) for each in chance.integers(0, 5, 2))
            while (int(place), draw, index) in seen:
                index += 5
            seen.add((int(place), draw, index))
            ids.append((draw, index, int(chance.integers(-2, 8))))
        expected = [
            next(
                (
                    other
                    for other in range(count)
                    if picture[other] == picture[own] and ids[other][:2] == (ids[own][0], ids[own][2])
                ),
                -1,
            )
            for own in range(count)
        ]
        found = parent_rows(torch.from_numpy(picture), torch.tensor(ids, dtype=torch.float32))
        assert found.tolist() == expected


def test_ids_near_the_limit_of_float32_stay_exact() -> None:
    draws = torch.tensor([[(1 << 22) - 1, 0, 1], [(1 << 22) - 1, 1, -1], [(1 << 22) - 2, 1, -1]])
    assert torch.equal(draws.float().long(), draws)
    assert parent_rows(torch.zeros(3), draws.float()).tolist() == [1, -1, -1]


def test_padded_parents_are_slots_within_the_picture() -> None:
    picture, parent = torch.tensor([0, 0, 2, 2, 2]), torch.tensor([1, -1, 4, -1, -1])
    assert padded_parents(picture, parent, 3, 4).tolist() == [[1, -1, -1, -1], [-1] * 4, [2, -1, -1, -1]]
    assert padded_parents(picture[:0], parent[:0], 2, 0).shape == (2, 0)


@pytest.fixture(scope="module")
def named_pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Relation]]:
    """A set in which every pair has two classes of its own, so that a class tells whose parent a box is."""
    root = tmp_path_factory.mktemp("named")
    write_set(root, {"train": 12, "val": 2}, seed=3)
    pair = 0
    for file in sorted((root / "labels" / "train").iterdir()):
        lines = file.read_text().splitlines()
        renamed = [f"{2 * pair + index} {line.split(maxsplit=1)[1]}" for index, line in enumerate(lines)]
        pair += len(lines) // 2
        file.write_text("\n".join(renamed))
        # Stated pairs: a neighbour's vehicle may hold a plate just as well, so geometry alone could not tell.
        sidecar = root / "pairs" / "train" / file.name
        sidecar.parent.mkdir(parents=True, exist_ok=True)
        sidecar.write_text("".join(f"{child} {child + 1}\n" for child in range(0, len(lines), 2)))
    for file in (root / "labels" / "val").iterdir():
        file.write_text("")
    names = [name for index in range(pair) for name in (f"plate {index}", f"vehicle {index}")]
    settings = yaml.safe_load((root / "data.yaml").read_text()) | {"names": names}
    (root / "data.yaml").write_text(yaml.safe_dump(settings))
    # Any vehicle may be the parent of any plate, so that a wrong pair is possible.
    vehicles = tuple(range(1, 2 * pair, 2))
    return root / "data.yaml", [Relation(child, vehicles) for child in range(0, 2 * pair, 2)]


@pytest.mark.parametrize(
    "settings",
    [
        {"mosaic": 0.0, "degrees": 10.0, "shear": 5.0, "perspective": 0.0005, "scale": 0.9},
        {"mosaic": 1.0},
        {"mosaic": 1.0, "mixup": 1.0},
        {"mosaic": 1.0, "cutmix": 1.0, "mixup": 0.5, "scale": 0.9, "fliplr": 0.5, "flipud": 0.5},
    ],
    ids=["affine", "mosaic", "mixup", "cutmix"],
)
def test_every_child_finds_its_own_parent_after_augmentation(
    named_pairs: tuple[Path, list[Relation]], settings: dict[str, float]
) -> None:
    random.seed(0), np.random.seed(0)
    dataset = build(*named_pairs, **settings)
    paired = 0
    for _ in range(4):
        items = [dataset[index] for index in range(len(dataset))]
        batch = dataset.collate_fn(items)
        picture, classes, parent = batch["batch_idx"].long(), batch["cls"][:, 0].long(), batch[PARENT]
        assert batch["cls"].shape == (len(parent), 1) and batch["cls"].dtype == torch.float32
        has = parent >= 0
        paired += int(has.sum())
        # The classes tell the truth: plate 2n belongs to vehicle 2n + 1, in the same picture.
        assert torch.equal(classes[parent[has]], classes[has] + 1)
        assert torch.equal(picture[parent[has]], picture[has])
        assert len(set(parent[has].tolist())) == int(has.sum()), "two plates of one draw share a vehicle"
        # No pair is lost: a plate stays alone only where the vehicle of its own draw is gone.
        for place, item in enumerate(items):
            there = {(draw, index) for draw, index, _ in item["cls"][:, 1:].tolist()}
            whole = [(draw, above) in there for draw, _, above in item["cls"][:, 1:].tolist() if above >= 0]
            assert sum(whole) == int(has[picture == place].sum())
    assert paired > 50


def test_the_same_picture_drawn_twice_does_not_mix_its_draws(named_pairs: tuple[Path, list[Relation]]) -> None:
    random.seed(0), np.random.seed(0)
    dataset = build(*named_pairs, mosaic=1.0)
    mosaic = dataset.transforms.transforms[0].transforms[0]
    mosaic.get_indexes = lambda: [0, 0, 0]
    batch = dataset.collate_fn([dataset[0] for _ in range(8)])
    has = batch[PARENT] >= 0
    boxes = batch["bboxes"]
    assert int(has.sum()) > 8
    assert len(set(batch[PARENT][has].tolist())) == int(has.sum())
    apart = (boxes[has][:, :2] - boxes[batch[PARENT][has]][:, :2]).abs()
    assert bool((apart <= boxes[batch[PARENT][has]][:, 2:]).all()), "a plate was given a vehicle of another tile"


def test_the_global_random_state_is_left_alone(scenes: Path) -> None:
    plain, paired = build(scenes, [], mosaic=0.0), build(scenes, PLATE, mosaic=0.0)
    states = []
    for dataset in (plain, paired):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        items = [dataset[index] for index in range(4)]
        states.append(
            (random.getstate()[1][:5], np.random.get_state()[1][:5].tolist(), torch.get_rng_state()[:5].tolist())
        )
    assert states[0] == states[1]
    assert items[0]["cls"].shape[1] == 4


def test_pictures_without_boxes_and_batches_without_any(tmp_path: Path) -> None:
    data_yaml = write_set(tmp_path, {"train": 3, "val": 1})
    (tmp_path / "labels" / "train" / "001.txt").write_text("")
    dataset = build(data_yaml, PLATE, augment=False)
    items = [dataset[index] for index in range(3)]
    batch = dataset.collate_fn([items[0], items[1], items[2]])
    assert (batch[PARENT] >= 0).sum() == (batch["cls"][:, 0] == 0).sum()
    empty = dataset.collate_fn([items[1]])
    assert empty[PARENT].shape == (0,) and empty["cls"].shape == (0, 1)


def labelled(root: Path, lines: list[str], pairs: str | None = None, **keys: Any) -> PairedDataset:
    data_yaml = write_set(root, {"train": 1, "val": 1}, **keys)
    (root / "labels" / "train" / "000.txt").write_text("".join(lines))
    if pairs is not None:
        (root / "pairs" / "train").mkdir(parents=True)
        (root / "pairs" / "train" / "000.txt").write_text(pairs)
    return build(data_yaml, PLATE, augment=False)


SMALL, BIG, FAR = row(1, 20, 20, 40, 40), row(1, 10, 10, 80, 80), row(1, 0, 70, 20, 20)
PLATES = [row(0, 30, 30, 10, 5), row(0, 40, 40, 10, 5)]


def parents_by_box(dataset: PairedDataset) -> dict[str, str | None]:
    """The parent of each plate, boxes told by their text."""
    label = dataset.labels[0]
    texts = [" ".join(f"{value:.6f}" for value in box) for box in label["bboxes"]]
    rows = zip(label["cls"][:, 0], texts, label["icr_parent"], strict=True)
    return {text: texts[parent] if parent >= 0 else None for cls, text, parent in rows if cls == 0}


def box(line: str) -> str:
    return line.strip().split(maxsplit=1)[1]


def test_geometry_decides_where_nothing_is_stated(tmp_path: Path) -> None:
    dataset = labelled(tmp_path, [PLATES[0], BIG, SMALL])
    assert parents_by_box(dataset) == {box(PLATES[0]): box(SMALL)}
    assert (dataset.count.children, dataset.count.by_geometry, dataset.count.ambiguous) == (1, 1, 1)


def test_the_sidecar_counts_even_against_geometry(tmp_path: Path) -> None:
    dataset = labelled(tmp_path, [*PLATES, BIG, SMALL], pairs="0 2\n1 -2\n")
    assert parents_by_box(dataset) == {box(PLATES[0]): box(BIG), box(PLATES[1]): box(SMALL)}
    assert (dataset.count.stated, dataset.count.by_geometry) == (1, 1)


def test_a_child_that_the_sidecar_leaves_out_has_no_parent(tmp_path: Path) -> None:
    assert parents_by_box(labelled(tmp_path, [*PLATES, SMALL], pairs="1 2\n")) == {
        box(PLATES[0]): None,
        box(PLATES[1]): box(SMALL),
    }


def test_rows_that_ultralytics_sorts_keep_their_pairs(tmp_path: Path) -> None:
    lines = [PLATES[1], BIG, SMALL, PLATES[0], BIG, FAR]
    dataset = labelled(tmp_path, lines, pairs="0 4\n3 5\n")
    assert len(dataset.labels[0]["cls"]) == 5, "Ultralytics leaves out the repeated row"
    assert parents_by_box(dataset) == {box(PLATES[1]): box(BIG), box(PLATES[0]): box(FAR)}


def test_order_counts_where_it_is_declared(tmp_path: Path) -> None:
    dataset = labelled(tmp_path, [PLATES[0], BIG, PLATES[1], SMALL], pairs=None)
    assert set(parents_by_box(dataset).values()) == {box(SMALL)}
    settings = yaml.safe_load((tmp_path / "data.yaml").read_text()) | {"pairs": "order"}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(settings))
    ordered = build(tmp_path / "data.yaml", PLATE, augment=False)
    assert parents_by_box(ordered) == {box(PLATES[0]): box(BIG), box(PLATES[1]): box(SMALL)}


def test_classes_that_are_left_out_leave_their_children_alone(tmp_path: Path) -> None:
    data_yaml = write_set(tmp_path, {"train": 2, "val": 1})
    data = check_det_dataset(str(data_yaml))
    dataset = PairedDataset(
        img_path=data["train"],
        imgsz=SIZE,
        augment=False,
        hyp=get_cfg(),
        data=data,
        classes=[0],
        relations=resolve(PLATE, data["names"]),
    )
    assert dataset.count.children > 0 and dataset.count.pairs == 0


def test_copy_paste_of_polygons_falls_back_to_geometry(tmp_path: Path) -> None:
    square = "0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3"
    data_yaml = write_set(tmp_path, {"train": 2, "val": 1})
    for file in (tmp_path / "labels" / "train").iterdir():
        file.write_text(f"0 0.15 0.15 0.2 0.15 0.2 0.2 0.15 0.2\n1 {square}\n")
    for kept, settings in ((True, {"copy_paste": 0.0}), (False, {"copy_paste": 1.0, "mosaic": 0.0})):
        dataset = build(data_yaml, PLATE, **settings)
        assert dataset.carries_ids is kept
        assert (PARENT in dataset.collate_fn([dataset[0], dataset[1]])) is kept


def test_spatial_albumentations_fall_back_to_geometry(scenes: Path) -> None:
    dataset = build(scenes, PLATE, mosaic=0.0)
    pixels = next(each for each in dataset.transforms.transforms if type(each).__name__ == "Albumentations")
    pixels.transform, pixels.contains_spatial = object(), True
    from icr.ultralytics.dataset import _loses_ids

    assert dataset.carries_ids and _loses_ids(dataset.transforms, dataset)
