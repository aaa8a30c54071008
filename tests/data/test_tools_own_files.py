"""Files that annotation tools wrote from ours, kept by version; and the tools themselves, where they are installed.

`captured/label-studio-1.23.2.json` is the whole export of a project into which the tasks of this page's set were
imported. In its own editor, mouse and keys by script, a plate was drawn inside the second car, and its arrow; two
boxes got the note "no parent"; the proposals were accepted, one of them moved; and a picture without a box submitted.
`captured/datumaro-1.13.12.xml` is what Datumaro, the library of CVAT's makers, wrote after reading ours.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import ids, picture

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.formats import read, write
from icr.relations import Relation

CAPTURED = Path(__file__).parent / "captured"
AUTO = {"source": "auto"}


def plates(root: Path) -> Dataset:
    """Pairs, a plate alone and one of which nothing is said, attributes, proposals of a detector, nothing at all."""

    def sample(
        name: str, size: tuple[int, int], rows: list[tuple[int, int, tuple[float, ...], dict[str, Any]]]
    ) -> Sample:
        path = picture(root / name, size)
        return Sample(
            path,
            *size,
            np.array([box for *_, box, _ in rows], np.float64).reshape(-1, 4),
            np.array([label for label, *_ in rows], np.int64),
            np.array([parent for _, parent, *_ in rows], np.int64),
            path if rows else None,
            box_attributes=[extra for *_, extra in rows],
        )

    one = sample(
        "train/a b.jpg",
        (640, 360),
        [
            (0, 1, (100, 200, 140, 212), {"text": "苏A12345", "occluded": True}),
            (1, NO_PARENT, (80, 100, 300, 260), {}),
            (0, 3, (400, 210, 431, 220), {}),
            (1, NO_PARENT, (380, 120, 600, 300), {"kind": "van"}),
            (0, NO_PARENT, (10, 10, 33, 17.5), {}),
            (0, UNSTATED, (600, 300, 620, 306), {}),
        ],
    )
    two = sample(
        "train/二.jpg",
        (333, 777),
        [
            (1, NO_PARENT, (1 / 3, 10.123456789, 332.9, 700.5), {}),
            (0, 0, (100.25, 500, 140.5, 520), {}),
            (0, 0, (200, 505, 233, 519.1), {}),
        ],
    )
    proposed = sample(
        "val/c.jpg",
        (640, 360),
        [
            (1, NO_PARENT, (50, 60, 250, 200), {**AUTO, "score": 0.9}),
            (0, 0, (100, 150, 140, 165), {**AUTO, "score": 0.7}),
            (0, NO_PARENT, (300, 300, 330, 310), {**AUTO, "score": 0.4}),
        ],
    )
    splits = {"train": [one, two], "val": [proposed], "test": [sample("test/d.jpg", (640, 360), [])]}
    return Dataset(root, "test", ["plate", "car"], splits, (Relation("plate", "car", 1.5),))


def assert_same_pairs(one: Sample, other: Sample, within: float = 1e-9) -> None:
    np.testing.assert_allclose(other.boxes, one.boxes, rtol=0, atol=within)
    assert other.labels.tolist() == one.labels.tolist() and other.parents.tolist() == one.parents.tolist()


def test_an_export_of_label_studio_with_what_a_person_did(tmp_path: Path) -> None:
    dataset, out = plates(tmp_path / "set"), tmp_path / "tool"
    assert write(dataset, out, "labelstudio") == ()
    shutil.copy(CAPTURED / "label-studio-1.23.2.json", out)
    export = {task["data"]["picture"]: task for task in json.loads((CAPTURED / "label-studio-1.23.2.json").read_text())}
    given = {task["data"]["picture"]: task for task in json.loads((out / "tasks.json").read_text())}
    assert all(export[key]["data"] == task["data"] for key, task in given.items()), "it is of the tasks written today"
    untouched = export["train/二.jpg"]["annotations"][0]["result"]
    assert untouched == given["train/二.jpg"]["annotations"][0]["result"]
    assert (
        export["val/c.jpg"]["annotations"][0]["prediction"]["result"] == given["val/c.jpg"]["predictions"][0]["result"]
    )

    back = read(out)
    assert ids(back.findings) == ["labels.empty"]
    assert (back.names, back.relations) == (dataset.names, dataset.relations)
    first, second = back.splits["train"]
    before = dataset.splits["train"][0]
    np.testing.assert_allclose(first.boxes[:6], before.boxes)
    assert first.labels.tolist() == [0, 1, 0, 1, 0, 0, 0]
    assert first.parents.tolist() == [1, NO_PARENT, 3, NO_PARENT, NO_PARENT, NO_PARENT, 3]
    assert (first.boxes[6, :2] > before.boxes[3, :2]).all() and (first.boxes[6, 2:] < before.boxes[3, 2:]).all()
    assert first.box_attributes[:6] == before.box_attributes and first.box_attributes[6] == {}
    assert_same_pairs(dataset.splits["train"][1], second)
    (accepted,), (empty,) = back.splits["val"], back.splits["test"]
    assert accepted.parents.tolist() == [NO_PARENT, 0, NO_PARENT]
    np.testing.assert_allclose(accepted.boxes[:2], dataset.splits["val"][0].boxes[:2])
    moved = accepted.boxes[2] - dataset.splits["val"][0].boxes[2]
    np.testing.assert_allclose(moved, [25 / 3, 10 / 3] * 2)
    assert not any(accepted.box_attributes), "submitted, as they were or moved: a person's by now"
    assert len(empty.labels) == 0


def test_label_studio_leaves_unlabelled_tasks_out_of_its_exports(tmp_path: Path) -> None:
    out = tmp_path / "tool"
    write(plates(tmp_path / "set"), out, "labelstudio")
    tasks = json.loads((CAPTURED / "label-studio-1.23.2.json").read_text())
    (out / "project-2.json").write_text(json.dumps([task for task in tasks if "train" in task["data"]["picture"]]))
    back = read(out)
    assert list(back.splits) == ["train"] and ids(back.findings) == ["labels.unfinished"]
    assert back.findings[0].message == "lacks 2 pictures that icr.json names, such as 'val/c.jpg'"


def test_the_pairs_that_a_person_draws_in_a_set_without_any_are_read(tmp_path: Path) -> None:
    bare = plates(tmp_path / "set")
    bare.relations = ()
    for sample in (each for split in bare.splits.values() for each in split):
        sample.parents[:] = UNSTATED
    out = tmp_path / "tool"
    write(bare, out, "labelstudio")
    shutil.copy(CAPTURED / "label-studio-1.23.2.json", out)
    back = read(out)
    assert back.relations == (Relation("plate", "car"),)
    assert back.splits["train"][0].parents.tolist() == [1, NO_PARENT, 3, NO_PARENT, NO_PARENT, NO_PARENT, 3]
    write(bare, tmp_path / "cvat", "cvat")
    shutil.copy(CAPTURED / "datumaro-1.13.12.xml", tmp_path / "cvat" / "annotations.xml")
    back = read(tmp_path / "cvat")
    assert back.relations == (Relation("plate", "car"),)
    assert back.splits["train"][0].parents.tolist() == [1, NO_PARENT, 3, NO_PARENT, NO_PARENT, UNSTATED]


@pytest.mark.parametrize("uploaded", ["c7cd4a51-a_b.jpg", "6d8d3dcb-x1y%C3%BC.JPG", "636dad81-%E4%BA%8C.jpg"])
def test_label_studio_cleans_the_names_of_uploads(tmp_path: Path, uploaded: str) -> None:
    """The three names as its server 1.23.2 made them of "a b.jpg", "x(1)&y+ü.JPG" and "二.jpg"."""
    for name in ("a b.jpg", "x(1)&y+ü.JPG", "二.jpg"):
        picture(tmp_path / "images" / name, (640, 360))
    (task, *_) = json.loads((CAPTURED / "label-studio-1.23.2.json").read_text())
    task["data"] = {"image": f"/data/upload/3/{uploaded}"}
    (tmp_path / "project-3.json").write_text(json.dumps([task]))
    dataset = read(tmp_path)
    assert dataset.findings == []
    assert dataset.splits["train"][0].image.name[0] == uploaded.split("-", 1)[1].replace("%E4%BA%8C", "二")[0]


def test_of_two_pictures_that_an_upload_may_be_neither_is_taken(tmp_path: Path) -> None:
    for name in ("a b.jpg", "a_b.jpg"):
        picture(tmp_path / "images" / name, (640, 360))
    (task, *_) = json.loads((CAPTURED / "label-studio-1.23.2.json").read_text())
    task["data"] = {"image": "/data/upload/3/c7cd4a51-a_b.jpg"}
    (tmp_path / "project-3.json").write_text(json.dumps([task]))
    assert "picture.missing" in ids(read(tmp_path).findings)


def assert_what_datumaro_keeps(dataset: Dataset, back: Dataset) -> None:
    """Boxes to a hundredth of a pixel, groups, attributes; not who made a box."""
    assert ids(back.findings) == ["labels.empty"] and back.relations == dataset.relations
    for split, samples in dataset.splits.items():
        for before, after in zip(samples, back.splits[split], strict=True):
            assert_same_pairs(before, after, 0.00501)
            kept = [{key: value for key, value in each.items() if key != "source"} for each in before.box_attributes]
            assert after.box_attributes == kept or not any(kept)


def test_what_datumaro_made_of_our_xml(tmp_path: Path) -> None:
    dataset, out = plates(tmp_path / "set"), tmp_path / "tool"
    write(dataset, out, "cvat")
    shutil.copy(CAPTURED / "datumaro-1.13.12.xml", out / "annotations.xml")
    assert_what_datumaro_keeps(dataset, read(out))


def test_datumaro_reads_our_xml_and_writes_it_again(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro")
    dataset, out = plates(tmp_path / "set"), tmp_path / "tool"
    write(dataset, out, "cvat")
    held = datumaro.Dataset.import_from(str(out), "cvat")
    assert len(held) == 4
    held.export(str(tmp_path / "again"), "cvat", save_media=True)
    shutil.copy(out / "icr.json", tmp_path / "again")
    assert_what_datumaro_keeps(dataset, read(tmp_path / "again"))


TOKEN = "0123456789abcdef0123456789abcdef01234567"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]


def call(path: str, body: Any = None) -> Any:
    """Ask the server of Label Studio; with a body, tell it."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"http://localhost:{PORT}{path}", data, headers)) as answer:
        content = answer.read()
        return json.loads(content) if "json" in answer.headers["Content-Type"] else content


@pytest.mark.slow
def test_the_server_of_label_studio_takes_our_tasks_and_gives_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shutil.which("label-studio")
    if program is None:
        pytest.skip("could not find 'label-studio'")
    dataset, out = plates(tmp_path / "set"), tmp_path / "tool"
    write(dataset, out, "labelstudio")
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED", "true")
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(out))
    monkeypatch.setenv("COLLECT_ANALYTICS", "false")
    monkeypatch.setenv("LATEST_VERSION_CHECK", "false")
    account = ["--username", "a@example.org", "--password", "not-a-secret", "--user-token", TOKEN]
    where = ["--data-dir", str(tmp_path / "server"), "--port", str(PORT), "--internal-host", "127.0.0.1"]
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [program, "start", "--no-browser", *where, *account, "--enable-legacy-api-token", "--agree-fix-sqlite"],
        stdout=log,
        stderr=log,
    )
    try:
        while True:
            try:
                call("/health")
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                time.sleep(2)
        interface = (out / "interface.xml").read_text()
        project = call("/api/projects/", {"title": "icr", "label_config": interface})["id"]
        call("/api/storages/localfiles", {"project": project, "path": str(out / "images"), "use_blob_urls": True})
        call(f"/api/projects/{project}/import", json.loads((out / "tasks.json").read_text()))
        for each in call(f"/api/tasks?project={project}")["tasks"]:
            task = call(f"/api/tasks/{each['id']}")
            assert call(task["data"]["image"]) == (out / "images" / task["data"]["picture"]).read_bytes()
            if not task["annotations"]:  # what the editor sends on Submit
                proposed = task["predictions"][0]["result"] if task["predictions"] else []
                call(f"/api/tasks/{each['id']}/annotations/", {"result": proposed, "lead_time": 1.5})
        export = call(f"/api/projects/{project}/export?exportType=JSON")
    finally:
        server.terminate()
        server.wait(60)
        log.close()
    (out / "project-1.json").write_text(json.dumps(export))
    back = read(out)
    for split, samples in dataset.splits.items():
        for before, after in zip(samples, back.splits[split], strict=True):
            assert_same_pairs(before, after)
            assert after.box_attributes == before.box_attributes or not any(before.box_attributes)
