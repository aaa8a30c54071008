"""Text files as people save them: byte-order marks, Windows line ends, wrong encodings, each said aloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icr.data.dataset import Finding
from icr.data.findings import found
from icr.errors import InputError

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
LARGEST_SETTINGS = 64 * 2**20


def read_lines(file: Path, findings: list[Finding]) -> list[str] | None:
    """The lines of a text file, line ends off; None when it is no UTF-8 text or cannot be opened, which is a finding.

    Raises:
        FileNotFoundError: there is no such file.
    """
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        findings.append(found("text.unreadable", file, f"cannot be opened: {error.strerror or error}"))
        return None
    if data.startswith(_BOM):
        findings.append(found("text.bom", file, "begins with a byte-order mark", 1))
        data = data[len(_BOM) :]
    zeros = data.count(b"\x00")
    if data.startswith(_WIDE_BOMS) or zeros * 4 > len(data):
        what = "UTF-16 text" if data.startswith(_WIDE_BOMS) else "binary data"
        findings.append(found("text.encoding", file, f"found {what}, expected UTF-8 text; save it as UTF-8"))
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if zeros:
            findings.append(found("text.encoding", file, "found binary data, expected UTF-8 text"))
            return None
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        findings.append(found("text.encoding", file, message, line))
        return None
    if zeros:
        line = text.count("\n", 0, text.index("\x00")) + 1
        more = f" ({zeros:,} in the file)" if zeros > 1 else ""
        message = f"holds a zero byte at line {line}{more}; lines without one are read"
        findings.append(found("text.zero_byte", file, message, line))
    if "\r" in text:
        findings.append(found("text.crlf", file, "has Windows line ends"))
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def read_settings_text(file: Path) -> str:
    """The text of a file without which there is no data set (data.yaml, a COCO JSON).

    Raises:
        InputError: it cannot be opened or is no UTF-8 text.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be opened: {error.strerror or error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}, line {line}: found bytes that are no UTF-8 text; save the file as UTF-8") from None


def shown(value: Any, limit: int = 60) -> str:
    """A value as it stands in the data, shortened and on one line, fit for a message.

    Example:
        >>> shown("0 nan 0.5\\t0.1 0.1")
        "'0 nan 0.5\\\\t0.1 0.1'"
        >>> shown([1, [2, 3]])
        'a list'
    """
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"  # never printed: aliases can make it endless
    text = value if isinstance(value, str) else str(value)[: limit + 1]
    short = text if len(text) <= limit else f"{text[:limit]}…"
    return repr(short) if isinstance(value, str) else short


def is_text(value: str) -> bool:
    """Whether a text can be written as UTF-8: JSON and YAML escapes can spell half a character, which cannot.

    Example:
        >>> is_text("冀R"), is_text("\\ud800")
        (True, False)
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: ``"1 picture"``, ``"1,200 pictures"``.

    Example:
        >>> counted(1, "box", "boxes"), counted(1200, "picture")
        ('1 box', '1,200 pictures')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
