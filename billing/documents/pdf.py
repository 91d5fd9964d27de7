"""Documents as PDF/A-3 by typst: the same bytes for the same content, on every machine with the same fonts.

Fonts are those that come with typst, which cover Latin, Greek and Cyrillic, and those of a folder that is set. A
character that none of them has would be an empty box, which archives refuse (PDF/A), and so do we.
"""

import re
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import typst

from marketplace.core.errors import Conflict, Invalid

TEMPLATE = Path(__file__).with_name("document.typ")
STANDARD = "a-3b"
_FIRST = "Libertinus Serif"
_UNDISPLAYED = re.compile(r'the text `"(.+)"` could not be displayed')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
_CHARACTERS_MAX = 100


class GlyphsMissing(Conflict):
    code = "glyphs-missing"
    title = "No font here has these characters"

    def __init__(self, number: str, characters: str) -> None:
        super().__init__(
            f"document {number}: no font here has {' '.join(characters)}; put a font file (.ttf, .otf, .ttc) that has"
            " them into the folder that MARKETPLACE_FONTS names, and start the program again",
            characters=characters,
        )


class Typesetter:
    """Writes documents with the fonts of typst and, behind them, those in a folder."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise Invalid(f"MARKETPLACE_FONTS: there is no folder {folder}")
        own = typst.Fonts(include_system_fonts=False)
        fonts = typst.Fonts(include_system_fonts=False, font_paths=[folder] if folder is not None else [])
        added = [name for name in fonts.families() if name not in own.families()]
        self._families = [_FIRST, *added, *(name for name in own.families() if name != _FIRST)]
        self._fonts = fonts
        self._own = threading.local()  # a compiler is not for several threads at once; fonts are

    def write(self, number: str, content: Mapping[str, Any], issued_on: date) -> bytes:
        """The document as PDF. Raises GlyphsMissing."""
        inputs = msgspec.json.encode({**content, "fonts": self._families}).decode()
        missing: list[str] = []
        while True:
            try:
                done = self._compile(inputs, issued_on)
            except typst.TypstError as fault:
                found = _UNDISPLAYED.search(str(fault))
                if found is None:
                    raise
                more = [each for each in dict.fromkeys(_plain(found[1])) if each not in missing]
                missing += more
                if not more or len(missing) > _CHARACTERS_MAX:
                    raise GlyphsMissing(number, "".join(missing)) from fault
                inputs = "".join(each for each in inputs if each not in missing)
            else:
                if missing:
                    raise GlyphsMissing(number, "".join(missing))
                return done

    def _compile(self, inputs: str, issued_on: date) -> bytes:
        if not hasattr(self._own, "compiler"):
            self._own.compiler = typst.Compiler(TEMPLATE, font_paths=self._fonts)
        written_at = int(datetime.combine(issued_on, time(), UTC).timestamp())
        done = self._own.compiler.compile(
            format="pdf", sys_inputs={"document": inputs}, timestamp=written_at, pdf_standards=[STANDARD]
        )
        assert isinstance(done, bytes)
        return done


def _plain(debugged: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), debugged)


@lru_cache
def typesetter(folder: Path | None) -> Typesetter:
    """The one for this folder; fonts are read once."""
    return Typesetter(folder)
