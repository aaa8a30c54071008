"""The other scenes: riders and doors, with boxes that are where things are painted, and relations that can be found."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter, features

from icr.data.formats import read
from icr.data.synth import generate, indoors
from icr.data.synth import settings as synth_settings
from icr.data.synth.bodies import KINDS, TWO_LINES, make
from icr.data.synth.camera import MANY, hull
from icr.data.synth.doors import SMALLEST, lay_out_doors
from icr.data.synth.generate import label_rows
from icr.data.synth.layout import lay_out, picture_size
from icr.data.synth.motorcycles import CIRCLE
from icr.data.synth.mount import face_of
from icr.data.synth.paint import SHAKES, paint
from icr.data.synth.paint import shaken as shaken_within
from icr.data.synth.scenes import STAGES, stage
from icr.data.synth.settings import CLOSE, DEFAULT, RIDERS, SceneSettings
from icr.data.synth.weather import compressed, drawn_out, shaken
from icr.errors import InputError
from icr.relations import discover


@pytest.mark.parametrize("name", ["rider", "door"])
def test_children_lie_in_their_parents_and_boxes_in_the_picture(name: str) -> None:
    made = stage(name)
    relations = {(made.names.index(child), made.names.index(parent)) for child, parent in made.relations}
    seen = set()
    for index in range(25):
        scene = made.lay_out(made.settings, 0, "train", index)
        assert scene.light == ("night" if index % 2 else "day")
        assert len(scene.labels), "no picture is without objects"
        assert (scene.boxes[:, :2] >= 0).all() and (scene.boxes[:, 2:] <= np.array(scene.size)).all()
        assert (scene.boxes[:, 2:] > scene.boxes[:, :2]).all()
        assert len({child for child, _ in scene.pairs}) == len(scene.pairs)
        for child, parent in scene.pairs:
            relation = (int(scene.labels[child]), int(scene.labels[parent]))
            assert relation in relations
            seen.add(relation)
            assert (scene.boxes[child, :2] >= scene.boxes[parent, :2] - 1e-6).all()
            assert (scene.boxes[child, 2:] <= scene.boxes[parent, 2:] + 1e-6).all()
        paired = {child for child, _ in scene.pairs}
        last = len(made.names) - 1
        assert paired == {row for row, label in enumerate(scene.labels.tolist()) if label != last}
    assert seen == relations


@pytest.mark.parametrize("name", ["rider", "door"])
def test_the_relations_are_found_unaided(tmp_path: Path, name: str) -> None:
    generate(tmp_path / name, counts={"train": 12}, size=(480, 320), scene=name, workers=1)
    dataset = read(tmp_path / name)
    stated = {(relation.child, relation.parent) for relation in dataset.relations}
    assert stated == set(stage(name).relations)
    found = discover(replace(dataset, relations=()))
    strong = {(item.child, item.parent) for item in found if item.recommended}
    assert strong == stated


def test_a_handle_is_where_it_is_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels that differ without handles lie in their boxes, but for the shadow just below and before them."""
    settings = replace(DEFAULT, size=(960, 640), blur=0, motion=0, recompressed=0)
    for index in (0, 2, 4):
        scene = lay_out_doors(settings, 2, "train", index)
        whole, _ = indoors.paint_doors(scene, settings, 2, "train", index)
        with monkeypatch.context() as patch:
            patch.setattr(indoors, "handle", lambda *_: None)
            bare, _ = indoors.paint_doors(scene, settings, 2, "train", index)
        changed = np.asarray(ImageChops.difference(whole, bare).convert("L")) > 24
        assert changed.any()
        allowed = np.zeros_like(changed)
        for left, top, right, bottom in scene.boxes[scene.labels == 0]:
            assert changed[int(top) : int(bottom) + 1, int(left) : int(right) + 1].any()
            reach = 3 + 0.5 * max(right - left, bottom - top)
            allowed[int(max(top - 3, 0)) : int(bottom + reach), int(max(left - reach, 0)) : int(right + reach)] = True
        assert not (changed & ~allowed).any()
        areas = (scene.boxes[:, 2:] - scene.boxes[:, :2]).prod(axis=1)[scene.labels == 0]
        assert (areas >= SMALLEST).all()


def test_lamps_are_mirrored_in_the_floor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the mirror images some of the floor differs, and nothing above the foot of the far wall."""
    settings = replace(DEFAULT, size=(960, 640), blur=0, motion=0, recompressed=0)
    mirrored = 0
    for index in range(4):
        scene = lay_out_doors(settings, 2, "train", index)
        whole, _ = indoors.paint_doors(scene, settings, 2, "train", index)
        with monkeypatch.context() as patch:
            patch.setattr(indoors, "sheen", lambda *_: None)
            bare, _ = indoors.paint_doors(scene, settings, 2, "train", index)
        foot = scene.camera.project(np.array([[0.0, 0.0, scene.long]]))[0, 1]
        changed = np.asarray(ImageChops.difference(whole, bare)).any(axis=(1, 2))
        mirrored += bool(changed.any())
        assert not changed[: int(foot)].any()
    assert mirrored


def test_bare_heads_have_no_helmet_label() -> None:
    for index in range(30):
        scene = stage("rider").lay_out(RIDERS, 0, "val", index)
        wearing = sum(person.helmet for vehicle in scene.vehicles for person in vehicle.body.people)
        assert (scene.labels == 0).sum() <= wearing
        assert (scene.labels == 1).sum() <= sum(len(vehicle.body.people) for vehicle in scene.vehicles)
        machines = [vehicle.box for vehicle in scene.vehicles if vehicle.body.kind == "motorcycle"]
        assert scene.boxes[scene.labels == 2].tolist() == np.array(machines).tolist()


def test_motorcycles_carry_plates_of_their_own_shape() -> None:
    settings = SceneSettings(kinds=(0, 0, 0, 0, 1), plate_width=120.0, hidden=0.0, two_lines=1.0)
    for index in range(6):
        scene = lay_out(settings, 0, "train", index)
        for vehicle in scene.vehicles:
            extent = vehicle.quad.max(axis=0) - vehicle.quad.min(axis=0)
            wide, tall = vehicle.body.end(vehicle.facing).plate_size
            assert extent[0] / extent[1] == pytest.approx(wide / tall, rel=0.12)


def test_large_vehicles_carry_yellow_plates_with_two_lines_behind() -> None:
    rng = np.random.default_rng(0)
    assert make("truck", rng, two_lines=1.0).rear.plate_size == TWO_LINES
    assert make("truck", rng, two_lines=1.0).front.plate_size != TWO_LINES
    assert make("bus", rng, two_lines=0.0).rear.plate_size != TWO_LINES
    settings = SceneSettings(kinds=(0, 0, 1, 0, 0), two_lines=1.0)
    scenes = [lay_out(settings, 0, "train", index) for index in range(8)]
    rear = next(vehicle for scene in scenes for vehicle in scene.vehicles if vehicle.facing == "rear")
    face = np.asarray(face_of(rear, rng))
    assert face.shape[0] / face.shape[1] == pytest.approx(0.5, abs=0.01)
    red, green, blue = np.median(face.reshape(-1, 3), axis=0)
    assert red > green > 2 * blue


@pytest.mark.parametrize("feature", ["rain", "motion", "glare", "recompressed"])
def test_weather_changes_the_picture_and_not_the_labels(feature: str) -> None:
    plain = replace(CLOSE, size=(960, 720), plate_width=90.0, plate_limits=(48.0, 185.0))
    asked = replace(plain, **{feature: 1.0})
    nights = range(1, 40, 2)
    index = next(i for i in nights if any(car.facing == "front" for car in lay_out(plain, 0, "train", i).vehicles))
    one, other = lay_out(plain, 0, "train", index), lay_out(asked, 0, "train", index)
    assert (one.boxes == other.boxes).all()
    before, after = paint(one, plain, 0, "train", index)[0], paint(other, asked, 0, "train", index)[0]
    assert before.size == after.size
    assert ImageChops.difference(before, after).getbbox() is not None


def test_motion_leaves_things_where_they_are_on_average() -> None:
    """Else the labels would be off by half the blur."""
    dot = np.zeros((60, 90, 3), np.uint8)
    dot[28:32, 43:47] = 255
    for along, down in ((9.0, 0.0), (6.0, 4.0), (-7.0, 3.0)):
        blurred = np.asarray(drawn_out(Image.fromarray(dot), along, down), np.float64)[..., 0]
        rows, columns = np.indices(blurred.shape)
        assert (blurred * columns).sum() / blurred.sum() == pytest.approx(44.5, abs=0.6)
        assert (blurred * rows).sum() / blurred.sum() == pytest.approx(29.5, abs=0.6)
        assert (blurred > 0).sum() > (dot[..., 0] > 0).sum()


def test_a_shaken_picture_is_that_of_the_kernel() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 50, 3), dtype=np.uint8))
    for steps in SHAKES:
        # Pillow's kernels stand on their heads.
        kernel = [int((4 - place // 5, place % 5) in steps) for place in range(25)]
        assert shaken_within(picture, steps).tobytes() == picture.filter(ImageFilter.Kernel((5, 5), kernel)).tobytes()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 400), st.sampled_from(["scattered", "balls", "grid"]))
def test_points_inside_are_left_out_of_a_hull_without_changing_it(seed: int, count: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 100, (count, 2))
    if kind == "balls":
        points = (points[:, None] + CIRCLE[None] * rng.uniform(0.1, 30, (count, 1, 1))).reshape(-1, 2)
    if kind == "grid":
        points = np.round(points / 40)
    every = points.tolist()
    around = hull(np.concatenate([points, np.repeat(points[:1], MANY, axis=0)]))
    assert around.tolist() == hull_by_definition(every)


def hull_by_definition(points: list[list[float]]) -> list[list[float]]:
    """Corner after corner, counter-clockwise from the leftmost: no point lies to the right of an edge."""
    corners = [min(points)]
    while True:
        x, y = corners[-1]
        others = [point for point in points if point != corners[-1]]
        following = others[0]
        for px, py in others[1:]:
            turn = (following[0] - x) * (py - y) - (following[1] - y) * (px - x)
            farther = abs(px - x) + abs(py - y) > abs(following[0] - x) + abs(following[1] - y)
            if turn < 0 or (turn == 0 and farther):
                following = [px, py]
        if following == corners[0]:
            return corners
        corners.append(following)


def test_compression_and_shake_draw_from_the_numbers_they_are_given() -> None:
    picture = paint(lay_out(CLOSE, 0, "train", 0), CLOSE, 0, "train", 0)[0].resize((1280, 960))
    for change in (compressed, shaken):
        once, again = (change(picture, np.random.default_rng(3)) for _ in range(2))
        assert once.tobytes() == again.tobytes() != picture.tobytes()


def test_an_unknown_scene_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected road, rider, door; did you mean 'door'"):
        generate(tmp_path / "new", counts={"train": 1}, scene="doors", workers=1)
    with pytest.raises(InputError, match="close settings are for the scene 'road'"):
        generate(tmp_path / "new", counts={"train": 1}, scene="door", close=True, workers=1)
    assert not list(tmp_path.iterdir())
    assert set(STAGES) == {"road", "rider", "door"}
    assert KINDS[-1] == "motorcycle"
    assert picture_size(CLOSE, 0, "train", 0) == CLOSE.size


LABELS = {
    "CLOSE": ("road", "f77d8028ee37b03b"),
    "DEFAULT": ("road", "20045abe7328576c"),
    "SVMLP": ("road", "0af9f28a74724371"),
    "CROWDED": ("road", "cebee80f88c32cd4"),
    "RIDERS": ("rider", "0ce17151994f87ed"),
}
"""Digests of the label rows of six images with seed 0."""


@pytest.mark.parametrize("preset", LABELS)
def test_labels_are_the_same_on_every_machine(preset: str) -> None:
    scene, digest = LABELS[preset]
    made, asked = stage(scene), getattr(synth_settings, preset)
    rows = [row for index in range(6) for row in label_rows(made.lay_out(asked, 0, "train", index))]
    assert hashlib.sha256("".join(f"{row}\n" for row in rows).encode()).hexdigest()[:16] == digest


def test_close_pictures_stay_what_they_are_with_the_same_libraries() -> None:
    """The demo rests on them: whatever is added to other scenes, these keep every pixel."""
    versions = np.__version__, PIL.__version__, features.version("freetype2")
    if versions != ("2.4.6", "13.0.0", "2.14.3"):
        pytest.skip(f"the digest was taken with other versions than NumPy, Pillow, FreeType {versions}")
    digest = hashlib.sha256()
    for index in range(2):
        digest.update(paint(lay_out(CLOSE, 0, "train", index), CLOSE, 0, "train", index)[0].tobytes())
    assert digest.hexdigest()[:16] == "d418796028f7d89b"
