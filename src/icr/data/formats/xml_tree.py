"""XML of untrusted origin as a small tree with line numbers: no document type, no entities, bounded size and depth."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from xml.parsers import expat

LARGEST, DEEPEST = 16 * 2**20, 64
_DECLARATION = re.compile(r"\s*<\?xml([^>]*)\?>", re.DOTALL)
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_FORBIDDEN = re.compile(r"<!\s*(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)", re.IGNORECASE)
_ENCODINGS = frozenset(("ascii", "big5", "cp1252", "gb18030", "gb2312", "gbk", "iso8859-1", "utf-8", "utf-16"))
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class XmlRefusedError(Exception):
    """A document that declares a document type or entities."""


class XmlBrokenError(Exception):
    """A document that cannot be read.

    Attributes:
        line: where, from 1; None when that is not known.
        encoding: whether its bytes are no text, rather than its text no XML.
    """

    def __init__(self, message: str, line: int | None = None, *, encoding: bool = False) -> None:
        super().__init__(message)
        self.line = line
        self.encoding = encoding


@dataclass
class Element:
    """An element: its tag, the line it begins on, the text directly in it, the elements in it, and its attributes."""

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    def first(self, tag: str) -> Element | None:
        """The first child of a tag."""
        return next((each for each in self.children if each.tag == tag), None)

    def said(self, tag: str) -> str:
        """The text of the first child of a tag, blanks off; empty when there is none."""
        child = self.first(tag)
        return child.text.strip() if child is not None else ""


def parse(data: bytes, largest: int = LARGEST) -> Element:
    """Parse a document of up to `largest` bytes.

    Raises:
        XmlRefusedError: it declares a document type or entities: found in the text, before any of it is parsed.
        XmlBrokenError: it is too large or too deep, in an unknown encoding, or not well formed.

    Example:
        >>> root = parse("<a><b> 京 </b>\\n<b/></a>".encode())
        >>> root.said("b"), [each.line for each in root.children]
        ('京', [1, 2])
        >>> parse(b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>')
        Traceback (most recent call last):
        icr.data.formats.xml_tree.XmlRefusedError: declares a DOCTYPE in line 1
    """
    if len(data) > largest:
        raise XmlBrokenError(f"has {len(data):,} bytes, more than {largest:,}")
    text = _decoded(data)
    declared = _FORBIDDEN.search(text)
    if declared is not None:
        line = text.count("\n", 0, declared.start()) + 1
        raise XmlRefusedError(f"declares {_article(declared[1].upper())} in line {line}")
    declaration = _DECLARATION.match(text)
    if declaration is not None:
        # The text is decoded already; line ends stay, so that lines keep their numbers.
        text = "\n" * declaration[0].count("\n") + text[declaration.end() :]
    return _tree(text)


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "AE" else f"a {word}"


def _decoded(data: bytes) -> str:
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    if encoding is None:
        stated = _ENCODING.match(data)
        encoding = stated[1].decode("ascii") if stated else "utf-8"
        try:
            known = codecs.lookup(encoding).name
        except LookupError:
            known = ""
        if known not in _ENCODINGS:
            raise XmlBrokenError(f"is in encoding {encoding!r}; save it as UTF-8", 1, encoding=True)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not in encoding {encoding}; save the file as UTF-8"
        raise XmlBrokenError(message, line, encoding=True) from None
    if "\x00" in text:
        raise XmlBrokenError("found binary data, expected XML text", encoding=True)
    return text.removeprefix("\ufeff")


def _tree(text: str) -> Element:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root = Element("", 0)
    path = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(path) > DEEPEST:
            raise XmlBrokenError(f"has elements more than {DEEPEST} deep", parser.CurrentLineNumber)
        element = Element(tag, parser.CurrentLineNumber, attributes=attributes)
        path[-1].children.append(element)
        path.append(element)

    def end(tag: str) -> None:
        path.pop()

    def characters(data: str) -> None:
        path[-1].text += data

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise XmlBrokenError(f"no readable XML: {expat.ErrorString(error.code)}", error.lineno) from None
    except UnicodeEncodeError:
        raise XmlBrokenError("holds half a character", encoding=True) from None
    return root.children[0]
