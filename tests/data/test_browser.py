"""`icr data show --html`: which pictures the page holds, what it tells of them, and that it works in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from icr.cli.commands import run as icr
from icr.data import formats
from icr.data.browser import browse
from icr.data.check import check
from icr.data.dataset import UNSTATED, Dataset, Finding, Sample
from icr.errors import InputError
from icr.relations import ResolvedRelation

RELATIONS = (ResolvedRelation(0, (1,)),)
PLATE, VEHICLE = "0 0.425 0.63 0.15 0.12", "1 0.45 0.5 0.5 0.6"


def _scenes(folder: Path, labels: dict[str, list[str]], brightness: int = 150) -> Path:
    """A YOLO data set of grey pictures, 200 by 140 px; names with slashes: split and stem."""
    for name, rows in labels.items():
        image, label = folder / "images" / f"{name}.jpg", folder / "labels" / f"{name}.txt"
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        # Each with a dot of its own, so that no two are the same file.
        picture = Image.new("RGB", (200, 140), (brightness,) * 3)
        picture.paste((255, 0, 0), (len(name) * 7, sum(map(ord, name)) % 120, len(name) * 7 + 9, 135))
        picture.save(image)
        label.write_text("".join(f"{row}\n" for row in rows))
    splits = sorted({name.split("/")[0] for name in labels})
    lines = [f"{split}: images/{split}" for split in splits]
    (folder / "data.yaml").write_text(
        "\n".join([*lines, "names: [plate, vehicle]", "relations: [{child: plate, parent: vehicle}]"])
    )
    return folder / "data.yaml"


def _content(html: str, which: str = "content") -> Any:
    found = re.search(rf'<script type="application/json" id="{which}">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def _browse(source: Path, **options: Any) -> Any:
    dataset = formats.read(source)
    return browse(dataset, RELATIONS, check(dataset), title="t", **options)


def test_pictures_boxes_pairs_and_findings_with_file_and_line(tmp_path: Path) -> None:
    source = _scenes(
        tmp_path,
        {
            "train/plain": [PLATE, VEHICLE],
            "train/lone": [VEHICLE, "0 0.05 0.05 0.05 0.03", "0 7 7 0.1 0.1"],
            "val/guess": [PLATE, VEHICLE, VEHICLE],
        },
    )
    page = _browse(source)
    lone, plain, guess = _content(page.html)["samples"]
    assert (page.pictures, page.of, page.full, page.pairs, page.orphans, page.ambiguous) == (3, 3, False, 2, 1, 1)
    assert plain["parents"] == [1, -1] and plain["split"] == "train" and plain["findings"] == []
    assert np.allclose(plain["boxes"][1], [40, 28, 140, 112], atol=0.01)
    assert lone["orphans"] == [1] and guess["ambiguous"] == [0] and guess["split"] == "val"
    told = {(each["id"], each["file"], each["line"], each["box"]) for each in lone["findings"]}
    # The row that could not be used is no box of the picture, the orphan is its second.
    assert ("pairs.orphan", "labels/train/lone.txt", 2, 1) in told
    assert ("boxes.outside", "labels/train/lone.txt", 3, None) in told
    assert str(tmp_path) not in page.html


def test_findings_of_a_shared_label_file_go_to_the_picture_of_their_annotation(tmp_path: Path) -> None:
    source = _scenes(tmp_path / "yolo", {"train/a": [PLATE, VEHICLE], "train/b": [VEHICLE, "0 0.05 0.05 0.05 0.03"]})
    formats.write(formats.read(source), tmp_path / "coco", "coco")
    dataset = formats.read(tmp_path / "coco")
    findings = check(dataset)
    content = _content(browse(dataset, RELATIONS, findings, title="t").html)
    first, second = content["samples"]
    assert [each["id"] for each in first["findings"]] == []
    assert [(each["id"], each["box"]) for each in second["findings"]] == [("pairs.orphan", 1)]
    assert len(content["elsewhere"]) == len(findings) - 1


def test_pictures_are_downscaled_and_small_ones_left_as_they_are(tmp_path: Path) -> None:
    source = _scenes(tmp_path, {"train/small": [PLATE], "train/wide": [PLATE]})
    Image.new("RGB", (2600, 1300)).save(tmp_path / "images/train/wide.jpg")
    page = _browse(source)
    sizes = [Image.open(io.BytesIO(base64.b64decode(each))).size for each in _content(page.html, "pictures")]
    assert sizes == [(200, 140), (1280, 640)]
    assert _content(page.html)["samples"][1]["width"] == 2600


def test_faulty_pictures_get_up_to_half_of_the_places(tmp_path: Path) -> None:
    lone = {f"train/lone{index}": ["0 0.05 0.05 0.05 0.03"] for index in range(8)}
    source = _scenes(tmp_path, {f"train/plain{index}": [PLATE, VEHICLE] for index in range(8)} | lone)
    names = {each["name"] for each in _content(_browse(source, count=16).html)["samples"]}
    assert len(names) == 16
    fewer = formats.read(source)
    fewer.splits["train"] = [
        each for each in fewer.splits["train"] if not each.image.stem.startswith("lone") or each.image.stem == "lone3"
    ]
    for seed in range(4):
        page = browse(fewer, RELATIONS, check(fewer), title="t", count=4, seed=seed)
        assert page.pictures == 4 and page.orphans == 1
    some = [browse(fewer, RELATIONS, check(fewer), title="t", count=4, seed=seed).html for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]


def test_the_limit_of_size_is_kept_and_told(tmp_path: Path) -> None:
    source = _scenes(tmp_path, {f"train/{index}": [PLATE, VEHICLE] for index in range(6)})
    whole = sum(map(len, _content(_browse(source).html, "pictures")))
    page = _browse(source, limit=whole // 2)
    assert page.full and 0 < page.pictures < 6
    assert sum(map(len, _content(page.html, "pictures"))) <= whole // 2
    with pytest.raises(InputError, match="not one picture fits the limit"):
        _browse(source, limit=10)


def test_light_by_brightness_unless_the_data_says(tmp_path: Path) -> None:
    source = _scenes(tmp_path, {"train/a": [PLATE]}, brightness=20)
    sample = _content(_browse(source).html)["samples"][0]
    assert (sample["light"], sample["lightMeasured"]) == ("night", True)
    dataset = formats.read(source)
    dataset.splits["train"][0].attributes["light"] = "day"
    sample = _content(browse(dataset, RELATIONS, title="t").html)["samples"][0]
    assert (sample["light"], sample["lightMeasured"]) == ("day", False)


def test_a_picture_that_cannot_be_read_is_there_by_its_boxes(tmp_path: Path) -> None:
    source = _scenes(tmp_path, {"train/a": [PLATE, VEHICLE]})
    dataset = formats.read(source)
    dataset.splits["train"][0].image.write_bytes(b"")
    page = browse(dataset, RELATIONS, title="t")
    assert page.unreadable and _content(page.html, "pictures") == [""]
    assert _content(page.html)["samples"][0]["failure"].startswith("images/train/a.jpg: this cannot be read")


def _hostile(folder: Path) -> tuple[Dataset, list[Finding]]:
    """A data set whose every text tries to become markup."""
    markup = "</script><img src=x onerror=document.title='broken'>&quot;\"'\u2028"
    image = folder / "a<b>&'.png"
    Image.new("RGB", (200, 140), (200, 200, 200)).save(image)
    arrays = np.array([[70.0, 80, 100, 96], [40, 30, 140, 110]]), np.array([0, 1]), np.full(2, UNSTATED)
    sample = Sample(image, 200, 140, *arrays, attributes={"light": "day"})
    findings = [
        Finding("pairs.orphan", "warning", str(image), None, markup),
        Finding("labels.class", "error", markup, 3, "m"),
    ]
    return Dataset(folder, "yolo", [markup, "车\udcff"], {markup: [sample]}), findings


def test_nothing_from_the_data_becomes_markup(tmp_path: Path) -> None:
    dataset, findings = _hostile(tmp_path)
    page = browse(dataset, RELATIONS, findings, title="<b>$content</b>\udcff", said="<i>")
    page.html.encode("utf-8")
    assert "<img" not in page.html and "<i>" not in page.html and "<b>" not in page.html
    assert page.html.count("</script>") == 3
    content = _content(page.html)
    # Half a character, as Python reads a byte that is no UTF-8, crashes Chromium.
    assert content["names"] == [dataset.names[0], "车\ufffd"] and content["title"] == "<b>$content</b>\ufffd"
    assert len(content["samples"][0]["findings"]) == len(content["elsewhere"]) == 1


def test_nothing_outside_the_file_is_asked_for(tmp_path: Path) -> None:
    html = _browse(_scenes(tmp_path, {"train/a": [PLATE, VEHICLE]})).html
    assert "default-src 'none'" in html
    assert not re.search(r'(?:src|href)="(?!data:)|url\(|@import|\bfetch\(|XMLHttpRequest', html)
    # The one address is the name of SVG's namespace, which nobody fetches.
    assert set(re.findall(r"https?://[^\"']+", html)) == {"http://www.w3.org/2000/svg"}


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def _in_browser(html: str, folder: Path, script: str, at: str) -> dict[str, Any]:
    """Open the page, run a script in it, and return the object that the script leaves in `told`."""
    assert CHROMIUM is not None
    prelude = "const told = {}; const text = (id) => document.getElementById(id).textContent;"
    press = "const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
    close = "document.body.dataset.told = JSON.stringify(told);"
    page = folder / "in-browser.html"
    page.write_text(html.replace("</body>", f"<script>{prelude}{press}{script}{close}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *flags, f"{page.as_uri()}#{at}"], capture_output=True, text=True, check=False)
    found = re.search(r'data-told="([^"]*)"', done.stdout)
    assert found is not None, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(unescape(found[1]))
    return answer


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")
class TestInABrowser:
    def test_keys_step_and_zoom_filters_narrow_and_the_hash_leads_to_a_picture(self, tmp_path: Path) -> None:
        source = _scenes(
            tmp_path,
            {
                "train/a": [PLATE, VEHICLE],
                "train/b": ["0 0.05 0.05 0.05 0.03"],
                "train/c": [PLATE, VEHICLE],
                "val/d": [PLATE, VEHICLE, VEHICLE],
            },
        )
        script = """
        const state = () => [text('name'), text('place')];
        const chips = [...document.querySelectorAll('.chip')];
        const chip = (name) => chips.find((each) => each.textContent.startsWith(name));
        told.first = state();
        told.boxes = document.querySelectorAll('#stage .box').length;
        told.lines = document.querySelectorAll('#stage line').length;
        press('ArrowRight'); told.right = state();
        press('ArrowRight'); told.around = state();
        press('ArrowLeft'); press('ArrowLeft'); told.left = state();
        press('+'); told.larger = text('zoom'); press('0'); told.whole = text('zoom');
        press('c'); told.close = parseInt(text('zoom'));
        press('b'); told.hidden = document.querySelector('#stage .boxes').style.display;
        chip('pairs.orphan').click(); told.orphans = state(); told.finding = text('details');
        told.strip = document.querySelectorAll('#strip button').length;
        chip('val').click(); told.none = text('strip');
        document.getElementById('clear').click(); told.cleared = text('place');
        chip('with a guess').click(); told.guess = state();
        """
        told = _in_browser(_browse(source).html, tmp_path, script, at="3")
        assert told["first"] == ["c.jpg", "3 of 4"]
        assert told["boxes"] == 2 and told["lines"] == 3
        assert told["right"] == ["d.jpg", "4 of 4"] and told["around"] == ["a.jpg", "1 of 4"]
        assert told["left"] == ["c.jpg", "3 of 4"]
        assert (told["larger"], told["whole"]) == ("140 %", "100 %") and told["close"] > 200
        assert told["hidden"] == "none"
        assert told["orphans"] == ["b.jpg", "1 of 1"] and told["strip"] == 1
        assert "pairs.orphan" in told["finding"] and "labels/train/b.txt:1" in told["finding"]
        assert told["none"] == "No picture fits these filters." and told["cleared"].endswith("of 4")
        assert told["guess"] == ["d.jpg", "1 of 1"]

    def test_hostile_texts_stay_texts(self, tmp_path: Path) -> None:
        dataset, findings = _hostile(tmp_path)
        html = browse(dataset, RELATIONS, findings, title="<b>bold</b>").html
        script = """
        told.title = text('title'); told.bold = document.querySelectorAll('b > b, h1 b').length;
        told.images = document.querySelectorAll('img:not([src^="data:"])').length;
        told.file = text('details').includes("a<b>&'.png");
        told.document = document.title;
        """
        told = _in_browser(html, tmp_path, script, at="1")
        assert told == {"title": "<b>bold</b>", "bold": 0, "images": 0, "file": True, "document": "<b>bold</b>"}


class TestCommand:
    def test_the_page_and_its_counts(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        source = _scenes(tmp_path, {f"train/{index}": [PLATE, VEHICLE] for index in range(3)})
        out = tmp_path / "page.html"
        assert icr(["data", "show", str(source), "--html", str(out), "--count", "2", "--json"]) == 0
        captured = capfd.readouterr()
        told = json.loads(captured.out)
        assert (told["page"], told["pictures"], told["of"], told["pairs"]) == (str(out), 2, 3, 2)
        assert told["bytes"] == out.stat().st_size
        assert "2 of 3 pictures" in captured.err and "--count for more" in captured.err

    def test_the_limit_is_said_aloud(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        source = _scenes(tmp_path, {f"train/{index}": [PLATE, VEHICLE] for index in range(2)})
        noise = np.random.default_rng(0)
        for index in range(2):
            pixels = noise.integers(0, 255, (420, 600, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"images/train/{index}.jpg", quality=40)
        out = tmp_path / "page.html"
        assert icr(["data", "show", str(source), "--html", str(out), "--max-mb", "0.25"]) == 0
        assert "1 of 2 pictures: more would take over 0.25 MB; --max-mb allows more" in capfd.readouterr().err

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--html", "there.html"], "there.html exists already"),
            (["--html", "there.html/page.html"], "is a file, so no folder can be made in it"),
            (["--html", "page.jpg"], "a page is written with suffix .html"),
            (["--html", "page.html", "--out", "a.jpg"], "give one of them"),
        ],
    )
    def test_a_place_that_will_not_do(
        self,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        options: list[str],
        told: str,
    ) -> None:
        source = _scenes(tmp_path, {"train/a": [PLATE, VEHICLE]})
        monkeypatch.chdir(tmp_path)
        Path("there.html").touch()
        assert icr(["data", "show", str(source), *options]) == 2
        assert told in capfd.readouterr().err
