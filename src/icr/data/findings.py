"""Every kind of finding that a data set can give rise to: its severity, what it means, what to do about it.

One table, so that an id has the same severity wherever it comes from and `docs/findings.md` can be held to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icr.data.dataset import Finding, Severity


@dataclass(frozen=True)
class Kind:
    """What all findings of one id have in common."""

    severity: Severity
    meaning: str
    remedy: str


KINDS: dict[str, Kind] = {
    # data.yaml and the folders it names
    "yaml.download_ignored": Kind(
        "info", "data.yaml has a download: key", "Nothing; this project never runs or fetches what a data set names."
    ),
    "yaml.nc_mismatch": Kind("warning", "nc: differs from the number of names", "Correct nc: or leave it out."),
    "yaml.names_missing": Kind(
        "warning", "data.yaml has nc: but no names:", "Add names:; until then the classes are class_0, class_1, …"
    ),
    "yaml.names_duplicate": Kind("warning", "Two classes have the same name", "Give each class a name of its own."),
    "yaml.name_not_text": Kind(
        "warning", "A class name is no text (YAML reads a bare no or 1 as another type)", "Put the name in quotes."
    ),
    "yaml.unknown_key": Kind(
        "warning", "A key of data.yaml looks like a mistyped known one", "Correct the key; it is ignored as it stands."
    ),
    "yaml.path_moved": Kind(
        "info", "A path in data.yaml does not exist as written but does relative to data.yaml", "Correct the path."
    ),
    "yaml.split_missing": Kind(
        "error", "A split of data.yaml names something that is no folder, list or picture", "Correct the path."
    ),
    "paths.climbs": Kind(
        "error",
        "An entry leads out of the data set's folder (../ or an absolute path in COCO); it is not read",
        "Move the picture into the folder, or name its folder by path: in data.yaml.",
    ),
    "paths.outside_root": Kind(
        "warning", "A split in data.yaml lies outside the data set's folder; it is read", "Set path: to its folder."
    ),
    "paths.absolute": Kind(
        "warning",
        "A list file names pictures by absolute path; they are read",
        "Write them relative to the data set, so that it can move.",
    ),
    "folder.unreadable": Kind("error", "A folder cannot be opened", "Check that it may be read."),
    "folder.loop": Kind("warning", "A link leads back to a folder already read; it is skipped", "Remove the link."),
    "split.empty": Kind("error", "A split has no usable picture", "Check the folder or list that it names."),
    "splits.shared": Kind(
        "warning",
        "The same picture stands in two splits, so that the evaluation sees training data",
        "Keep it in one of them.",
    ),
    "splits.alike": Kind(
        "warning",
        "A picture shows the same as one of another split: saved anew, scaled, or the next frame of a standing scene",
        "Keep it in one of them.",
    ),
    "splits.scene": Kind(
        "warning",
        "Pictures of one video or track stand in several splits, so that the evaluation sees trained scenes",
        "Split by video or track: icr data split does.",
    ),
    "classes.unused": Kind("info", "No picture has a box of a class", "Nothing, if that is meant."),
    # text files
    "text.encoding": Kind("error", "A text file is no UTF-8 text; it is not used", "Save it as UTF-8."),
    "text.zero_byte": Kind(
        "error",
        "A text file holds a zero byte, as a broken save leaves; the other lines are read",
        "Write the line anew.",
    ),
    "text.unreadable": Kind("error", "A file cannot be opened", "Check that it is a file and may be read."),
    "text.bom": Kind("info", "A file begins with a byte-order mark; it is read all the same", "Nothing."),
    "text.crlf": Kind("info", "A file has Windows line ends; it is read all the same", "Nothing."),
    # pictures
    "picture.missing": Kind("error", "A picture named by a list or a JSON is not there", "Add it or remove its entry."),
    "picture.none_found": Kind(
        "error", "None of the pictures of a COCO file is there; its labels are read", "Put the pictures beside it."
    ),
    "picture.unreadable": Kind(
        "error", "A file is no picture that can be opened; it is left out", "Replace or remove it."
    ),
    "picture.truncated": Kind("error", "A picture cannot be decoded to its end", "Replace or remove it."),
    "picture.size_mismatch": Kind(
        "error",
        "A picture's size differs from the size in the labels, so its boxes may be off",
        "Put the right picture there, or correct the size and the boxes.",
    ),
    "picture.turned": Kind(
        "info",
        "A JPEG is stored turned or mirrored (EXIF orientation); sizes and boxes are those of the picture as shown",
        "Nothing, if the boxes were drawn on the picture as shown; else store the picture upright.",
    ),
    "picture.listed_twice": Kind("warning", "A split lists a picture twice; both count", "Remove one entry."),
    "picture.duplicate": Kind("warning", "Two pictures of one split are the same bytes", "Remove one of them."),
    "picture.alike": Kind(
        "info",
        "A picture shows the same as another of its split: saved anew, scaled, or the next frame of a standing scene",
        "Nothing, or remove one of them.",
    ),
    # rows of labels
    "labels.none": Kind(
        "error", "Not one picture of a split has a label file", "Check that labels/ lies beside images/, same names."
    ),
    "labels.missing": Kind(
        "info", "A picture has no label file; it counts as a picture without objects", "Nothing, if that is meant."
    ),
    "labels.empty": Kind("info", "A label file has no row; its picture has no objects", "Nothing, if that is meant."),
    "labels.no_picture": Kind("error", "A label file has no picture, so it is lost", "Add the picture or remove it."),
    "labels.fields": Kind(
        "error",
        "A row has the wrong number of fields, or an annotation lacks a key; it is left out",
        "YOLO: class cx cy w h. COCO: image_id, category_id, bbox [x, y, w, h].",
    ),
    "labels.not_a_number": Kind("error", "A field is no number; the row is left out", "Correct or remove the row."),
    "labels.not_finite": Kind(
        "error", "A number is NaN, infinite or too large to be stored; the row is left out", "Correct or remove it."
    ),
    "labels.class": Kind(
        "error",
        "The class is no whole number or lies outside the class list; the row is left out",
        "Correct the class, or the list of names.",
    ),
    "labels.negative_size": Kind("error", "A width or height is negative; the row is left out", "Correct the row."),
    "labels.zero_size": Kind("error", "A width or height is zero; the row is left out", "Correct or remove the row."),
    "labels.polygon": Kind(
        "info", "Rows hold outlines; the box around each is used, the outline kept", "Nothing; only boxes are trained."
    ),
    "labels.duplicate": Kind("warning", "The same row stands twice in a file; both count", "Remove one of them."),
    "labels.swapped": Kind(
        "warning",
        "The boxes of a picture fit the relation only with two classes exchanged, unlike those of nearly all others",
        "Look at the picture; --fix exchanges the two classes in it.",
    ),
    "labels.repeated": Kind(
        "warning",
        "A picture has, number for number, the two or more boxes of another picture that shows something else",
        "Look at both; one of them has the labels of the other.",
    ),
    "labels.shifted": Kind(
        "warning",
        "In many pictures in a row, the boxes of the label file before or after fit better than the picture's own",
        "Look at some; if so, rename the label files of the run, so that each moves by one picture.",
    ),
    "labels.corners_swapped": Kind(
        "warning", "A box's corners stand the wrong way round; they are put in order", "Write the smaller ones first."
    ),
    "labels.attribute": Kind(
        "warning", "What a row says beside the box is not as expected; the box is used", "Correct the row."
    ),
    "labels.rotated": Kind(
        "error",
        "A box is turned, or was drawn on a turned picture; only upright ones can be trained, so it is left out",
        "Draw it upright.",
    ),
    "labels.shape": Kind("error", "A shape is neither a box nor an outline; it is left out", "Draw a box around it."),
    "labels.several": Kind(
        "info",
        "A picture was labelled more than once; the ground truth counts, else the labels changed last",
        "Nothing, or mark the right ones as ground truth.",
    ),
    "labels.unfinished": Kind(
        "warning",
        "A picture handed to an annotation tool has no finished labels, so it is left out",
        "Finish it in the tool, and export anew.",
    ),
    "labels.known_bad": Kind(
        "warning", "Users of this published set found the file faulty; it is read all the same", "Look at it."
    ),
    "labels.structure": Kind(
        "error", "A label file is no readable JSON or XML of its format; its picture is left out", "Replace the file."
    ),
    "labels.refused": Kind(
        "error",
        "An XML file declares a document type or entities, which can grow without bound; it is not read",
        "Remove the <!DOCTYPE …> part; annotations need none.",
    ),
    "labels.archive": Kind(
        "error", "A zip file, or a file in it, cannot be read", "Fetch it anew, or unpack it beside its place."
    ),
    "labels.twice": Kind(
        "warning", "Two files stand for the same picture or its labels; the first is used", "Remove one of them."
    ),
    "splits.unofficial": Kind(
        "warning", "A track lies in another split than the published one", "Move it, to compare with published figures."
    ),
    "splits.unlisted": Kind(
        "warning",
        "Label files stand in none of the lists of splits; they are not used",
        "List them, or remove the lists.",
    ),
    "boxes.outside": Kind(
        "error", "A box lies wholly outside its picture; it is left out", "Correct it; YOLO rows are shares, 0 to 1."
    ),
    "boxes.partly_outside": Kind(
        "warning", "A box sticks out of its picture; it is kept as it is", "Clip the box to the picture."
    ),
    "boxes.tiny": Kind("warning", "A box is narrower or lower than one pixel", "Check the row; remove stray boxes."),
    # COCO
    "coco.image": Kind("error", "An entry of images cannot be used", "Each needs an id and a file_name."),
    "coco.duplicate_image": Kind("error", "Two pictures have the same id; the second is left out", "Number them anew."),
    "coco.unknown_image": Kind(
        "error", "An annotation names a picture that is not in images; it is left out", "Correct image_id."
    ),
    "coco.duplicate_id": Kind(
        "warning", "Two annotations have the same id; both boxes are used", "Number them anew, parent_id too."
    ),
    "coco.id_missing": Kind(
        "warning", "An annotation has no usable id, so it can be nobody's parent", "Give it a whole number as id."
    ),
    "coco.category": Kind("error", "An entry of categories cannot be used", "Each needs a new id and a name."),
    "coco.categories_differ": Kind(
        "warning", "The JSON files of a folder list different classes; they are merged by name", "Use one list in all."
    ),
    "coco.no_annotations": Kind("warning", "A COCO file has no annotations", "Nothing, if it is a bare test set."),
    # pairs
    "pairs.line": Kind(
        "error", "A line of a pairs file is not two whole numbers; it is not used", "Write: child_row parent_row."
    ),
    "pairs.row": Kind(
        "error", "A pair names a row that does not exist; the pair is lost", "Rows count from 0, blank lines left out."
    ),
    "pairs.self": Kind("error", "A box is named as its own parent; the pair is lost", "Correct the pair."),
    "pairs.circle": Kind(
        "error", "Boxes are each other's parents around a circle; these pairs are lost", "Correct the pairs."
    ),
    "pairs.repeated": Kind("warning", "A child is paired twice; the first line counts", "Remove one of the lines."),
    "pairs.lost": Kind(
        "error", "A child's parent stands in a row that cannot be used, so the pair is lost", "Correct that row."
    ),
    "pairs.order": Kind(
        "error",
        "pairs: order is declared, but here a child is not followed by its parent; the pair is left to geometry",
        "Put each child's parent on the line after it.",
    ),
    "pairs.unknown_parent": Kind(
        "error", "parent_id names no annotation of the same picture; the pair is lost", "Correct parent_id."
    ),
    "pairs.class": Kind(
        "warning", "A stated parent is of a class that the relation does not allow", "Correct the pair or relation."
    ),
    "pairs.outside": Kind(
        "warning", "Less than half of a child lies inside its stated parent", "Check the pair and both boxes."
    ),
    "pairs.larger": Kind("warning", "A child is larger than its parent", "Check the pair, and that classes fit."),
    "pairs.several": Kind(
        "warning",
        "A parent holds two or more children of a class of which nearly every other parent holds one, or may hold one",
        "Look for a missing parent, a box drawn twice, or a wrong pair.",
    ),
    "pairs.orphan": Kind(
        "warning",
        "A child has no parent; it trains with the plain loss",
        "Label the parent, or nothing where none is in the picture.",
    ),
    "pairs.ambiguous": Kind(
        "warning",
        "Two or more parents hold a child alike and the data does not say which; the smallest is taken",
        "State the pair in a pairs file or by parent_id.",
    ),
    "pairs.none": Kind(
        "error",
        "The training pictures hold no pair at all, so ICR could not act",
        "Check the relation and the class names.",
    ),
    "relations.invalid": Kind(
        "error",
        "The declared relations cannot be read or name a class that does not exist; they are not used",
        "Correct relations:, such as relations: [{child: plate, parent: vehicle}].",
    ),
    "relations.unknown": Kind(
        "info", "No relation is given, declared or obvious, so pairs are not checked", "Pass --relation child:parent."
    ),
}


def found(kind: str, file: Path | str, message: str, line: int | None = None) -> Finding:
    """Make a finding of a known kind; its severity comes from `KINDS`.

    Raises:
        KeyError: the kind is not in `KINDS`.

    Example:
        >>> found("labels.zero_size", "labels/a.txt", "width 0", line=3).severity
        'error'
    """
    return Finding(kind, KINDS[kind].severity, _printable(str(file)), line, _printable(message))


def _printable(text: str) -> str:
    """A text that any terminal and JSON take: file names may hold bytes that are no UTF-8, and line ends."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").splitlines())
