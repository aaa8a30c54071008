"""Drawing: what is marked, what stays in sight, and how sheets are laid out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from icr.drawing import (
    ORPHAN,
    PALETTE,
    annotate,
    close_up,
    colour_of,
    contact_sheet,
    fit,
    free_path,
    legend,
    read_picture,
    write_picture,
)
from icr.errors import InputError

NAMES = ["plate", "vehicle"]
VEHICLE, PLATE = [100.0, 100, 260, 220], [165.0, 185, 195, 195]
GREY = 90


def _grey(width: int = 320, height: int = 240) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), GREY, np.uint8)


def _draw(boxes: list[list[float]], labels: list[int], parents: list[int], **options: object) -> npt.NDArray[np.uint8]:
    arrays = np.array(boxes, float).reshape(-1, 4), np.array(labels, np.int64), NAMES, np.array(parents, np.int64)
    return annotate(_grey(), *arrays, **options)  # type: ignore[arg-type]


def _changed(drawn: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return (drawn != GREY).any(-1)


def _count(drawn: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((drawn == np.array(colour)).all(-1).sum())


def test_the_pixels_of_a_tiny_child_stay_as_they_were() -> None:
    tiny = [170.0, 190, 176, 193]
    drawn = _draw([tiny, VEHICLE], [0, 1], [1, -1], scores=np.array([0.5, 0.9]))
    assert not _changed(drawn)[190:193, 170:176].any()
    # It is framed and labelled all the same.
    assert _count(drawn, colour_of(0)) > 20


def test_a_box_that_fills_the_picture_is_framed_within_it() -> None:
    drawn = _draw([[0, 0, 320, 240]], [1], [-1], text=False)
    assert drawn[0, 100].tolist() == drawn[100, 0].tolist() == list(colour_of(1))
    assert drawn[239, 100].tolist() == drawn[100, 319].tolist() == list(colour_of(1))


def test_the_picture_that_was_given_is_left_alone() -> None:
    before = _grey()
    annotate(before, np.array([PLATE]), np.array([0]), NAMES, np.array([-1]))
    assert (before == GREY).all()


def test_a_child_is_joined_to_the_middle_of_its_parent() -> None:
    joined, apart = _draw([PLATE, VEHICLE], [0, 1], [1, -1]), _draw([PLATE, VEHICLE], [0, 1], [-1, -1])
    only_line = (joined != apart).any(-1)
    y, x = np.nonzero(only_line)
    # From the plate's upper edge at y = 185 up to the dot at (180, 160).
    assert abs(x.mean() - 180) < 3
    assert y.min() in range(152, 160) and y.max() in range(178, 187)
    assert joined[160, 180].tolist() == list(colour_of(0))


def test_a_child_in_the_middle_is_joined_to_the_upper_edge() -> None:
    middle = [170.0, 155, 190, 165]
    line = (_draw([middle, VEHICLE], [0, 1], [1, -1]) != _draw([middle, VEHICLE], [0, 1], [-1, -1])).any(-1)
    assert line[101:150, 178:183].any(1).all()


def test_a_guess_is_joined_by_dashes() -> None:
    far = [110.0, 205, 120, 210]
    boxes, labels, parents = [far, VEHICLE], [0, 1], [1, -1]
    sure = _count(_draw(boxes, labels, parents), colour_of(0))
    guess = _count(_draw(boxes, labels, parents, ambiguous=np.array([True, False])), colour_of(0))
    assert guess < sure


def test_an_orphan_is_red() -> None:
    lone = _draw([PLATE], [0], [-1], orphans=np.array([True]))
    assert _count(lone, ORPHAN) > 20 and not _count(lone, colour_of(0))
    assert not _count(_draw([PLATE], [0], [-1]), ORPHAN)


def test_captions_can_be_left_out() -> None:
    assert _changed(_draw([PLATE], [0], [-1], text=False)).sum() < _changed(_draw([PLATE], [0], [-1])).sum()


@pytest.mark.parametrize(
    "box",
    [
        [-50, -50, 400, 300],  # wholly around the picture
        [310, 230, 330, 250],  # over the corner
        [500, 500, 600, 600],  # outside
        [10, 10, 10, 10],  # of no size
        [0, 0, 1, 1],
    ],
)
def test_boxes_anywhere_are_drawn_or_left_out_without_an_error(box: list[float]) -> None:
    assert _draw([box, VEHICLE], [0, 1], [1, -1]).shape == (240, 320, 3)


def test_a_child_with_the_very_box_of_its_parent() -> None:
    assert _draw([VEHICLE, VEHICLE], [0, 1], [1, -1]).shape == (240, 320, 3)


def test_nothing_to_draw_changes_nothing() -> None:
    assert not _changed(_draw([], [], [])).any()


def test_labels_that_no_name_belongs_to_and_chinese_names() -> None:
    boxes = np.array([PLATE, VEHICLE])
    for names in ([], ["车牌", "车辆"]):
        drawn = annotate(_grey(), boxes, np.array([0, 1]), names, np.array([1, -1]))
        assert _count(drawn, colour_of(1)) > 100


def test_captions_keep_off_every_child() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(20, (280, 200), (6, 2))
    plates = np.concatenate([corner, corner + np.array([14, 6])], 1).round()
    boxes = np.concatenate([plates, [[10, 10, 310, 230]]])
    drawn = annotate(_grey(), boxes, np.array([0] * 6 + [1]), NAMES, np.array([6] * 6 + [-1]), text=True)
    bare = annotate(_grey(), boxes, np.array([0] * 6 + [1]), NAMES, np.array([6] * 6 + [-1]), text=False)
    captions = (drawn != bare).any(-1)
    for left, top, right, bottom in plates.astype(int):
        assert captions[top:bottom, left:right].mean() < 0.2


def test_every_class_has_a_colour_and_the_first_sixteen_have_their_own() -> None:
    assert len({colour_of(label) for label in range(2 * len(PALETTE))}) == 2 * len(PALETTE)
    assert ORPHAN not in {colour_of(label) for label in range(200)}


class TestFiles:
    def test_turned_by_exif_unless_the_boxes_refer_to_the_stored_picture(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
        assert read_picture(tmp_path / "a.jpg").shape == (30, 20, 3)
        assert read_picture(tmp_path / "a.jpg", (20, 30)).shape == (30, 20, 3)
        assert read_picture(tmp_path / "a.jpg", (30, 20)).shape == (20, 30, 3)

    def test_what_is_transparent_is_laid_on_white(self, tmp_path: Path) -> None:
        Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
        assert (read_picture(tmp_path / "a.png") == 255).all()

    def test_deep_grey_keeps_its_range(self, tmp_path: Path) -> None:
        Image.fromarray(np.array([[0, 30000, 60000]], np.uint16)).save(tmp_path / "a.png")
        assert read_picture(tmp_path / "a.png")[0, :, 0].tolist() == [0, 127, 255]

    def test_a_file_that_is_none_or_no_picture_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "text.jpg").write_text("hello")
        for name, told in (("absent.jpg", "no such file"), ("text.jpg", "not a known picture format")):
            with pytest.raises(InputError, match=told) as caught:
                read_picture(tmp_path / name)
            assert "\n" not in str(caught.value) and name in str(caught.value)

    def test_the_reason_is_the_same_where_ultralytics_has_replaced_the_function_that_opens(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replaced(path: Path) -> Image.Image:
            raise ModuleNotFoundError("No module named 'pi_heif'")

        (tmp_path / "text.jpg").write_text("hello")
        monkeypatch.setattr(Image, "open", replaced)
        with pytest.raises(InputError, match=r"text.jpg: .*\(not a known picture format\)$"):
            read_picture(tmp_path / "text.jpg")

    def test_written_whole_under_the_very_name(self, tmp_path: Path) -> None:
        write_picture(_grey(), tmp_path / "a.png")
        assert (read_picture(tmp_path / "a.png") == GREY).all()
        with pytest.raises(InputError, match=r"'\.txt' cannot be written"):
            write_picture(_grey(), tmp_path / "a.txt")
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

    def test_a_free_name(self, tmp_path: Path) -> None:
        for expected in ("sheet.jpg", "sheet-2.jpg", "sheet-3.jpg"):
            path = free_path(tmp_path, "sheet", ".jpg")
            assert path.name == expected
            path.touch()


class TestSheets:
    def test_a_column_is_as_wide_as_the_widest_and_a_row_as_high_as_its_highest(self) -> None:
        sheet = contact_sheet([_grey(80, 60), _grey(40, 60), _grey(80, 30)], 2, gap=10)
        assert sheet.shape == (10 + 60 + 10 + 30 + 10, 10 + 80 + 10 + 80 + 10, 3)
        # The low row begins right beneath the gap.
        assert sheet[80, 50].tolist() == [GREY] * 3 and sheet[79, 50].tolist() != [GREY] * 3
        assert sheet[40, 50].tolist() == [GREY] * 3
        # The narrow one stands in the middle of its cell.
        assert sheet[40, 100 + 15].tolist() != [GREY] * 3 and sheet[40, 100 + 25].tolist() == [GREY] * 3

    def test_fewer_pictures_than_columns(self) -> None:
        assert contact_sheet([_grey(80, 60)], 5, gap=10).shape == (80, 100, 3)

    def test_captions_and_a_head(self) -> None:
        plain = contact_sheet([_grey()], 1)
        head = legend("a very long title " * 20, ["a line"], [("plate", colour_of(0))], True, 348)
        full = contact_sheet([_grey()], 1, captions=["x" * 500], header=head)
        assert full.shape[0] > plain.shape[0] + head.shape[0]
        assert full.shape[1] == plain.shape[1] == head.shape[1]
        assert _count(head, colour_of(0)) > 10 and _count(head, ORPHAN) > 10

    @pytest.mark.parametrize(("count", "columns", "captions"), [(0, 1, 0), (2, 0, 0), (2, 1, 1)])
    def test_what_cannot_be_laid_out_is_refused(self, count: int, columns: int, captions: int) -> None:
        with pytest.raises(InputError, match="cannot be laid out"):
            contact_sheet([_grey()] * count, columns, captions=["x"] * captions)


class TestCloseUps:
    def test_the_box_fills_its_share(self) -> None:
        picture = _grey()
        picture[185:195, 165:195] = 255
        cut, scale, corner = close_up(picture, PLATE, 120, 80, share=0.5)
        assert cut.shape == (80, 120, 3) and scale == 2.0
        left, top, right, bottom = ((np.array(PLATE) - np.tile(corner, 2)) * scale).tolist()
        assert (right - left, bottom - top) == (60, 20)
        assert (cut[int(top) + 2 : int(bottom) - 2, int(left) + 2 : int(right) - 2] > 250).all()
        assert cut[int(top) - 3, int(left) - 3].tolist() == [GREY] * 3

    def test_at_the_border_the_view_is_shifted_into_the_picture(self) -> None:
        cut, scale, corner = close_up(_grey(), [300, 220, 320, 240], 100, 100)
        assert (cut == GREY).all()
        assert corner == (320 - 100 / scale, 240 - 100 / scale)

    def test_beyond_a_small_picture_it_is_black(self) -> None:
        cut, _, _ = close_up(_grey(20, 20), [0, 0, 20, 20], 100, 100)
        assert (cut[0] == 0).all() and (cut[50, 50] == GREY).all()

    @pytest.mark.parametrize(("width", "height", "shape"), [(200, 200, (150, 200, 3)), (32, 240, (24, 32, 3))])
    def test_fit_keeps_the_shape(self, width: int, height: int, shape: tuple[int, ...]) -> None:
        small, scale = fit(_grey(), width, height)
        assert small.shape == shape and scale == pytest.approx(shape[1] / 320)
