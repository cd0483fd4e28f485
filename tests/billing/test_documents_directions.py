"""Names that are written from right to left: in the PDF their letters stand, and join, as they are read."""

import io
import re
from typing import Any

from pypdf import PdfReader
from pypdf.generic import ContentStream

from services.billing import documents
from tests.billing.printed import Seen, invoice, text_of

HEBREW, ARABIC = "שלום", "سلام"


def written_from_left(content: bytes) -> list[str]:
    """Return the texts of a PDF's first page as their glyphs stand, from left to right, each glyph as its letters."""
    page = PdfReader(io.BytesIO(content)).pages[0]
    fonts: Any = page["/Resources"]["/Font"]  # type: ignore[index]
    letters = {name: _letters_of(font.get_object()["/ToUnicode"].get_data()) for name, font in fonts.items()}
    texts, font, at = [], "", 0.0
    placed: list[tuple[float, str]] = []
    for operands, operator in ContentStream(page["/Contents"], page.pdf).operations:
        match operator:
            case b"Tf":
                font = operands[0]
            case b"Td" | b"Tm":
                at = float(operands[-2])
            case b"Tj":
                codes = re.findall("..", operands[0].original_bytes.hex(), re.DOTALL)
                pairs = zip(codes[::2], codes[1::2], strict=True)
                placed += [(at, letters[font].get("".join(pair), "")) for pair in pairs]
            case b"ET":
                texts.append("".join(letter for _, letter in sorted(placed, key=lambda each: each[0])))
                placed = []
    return texts


def _letters_of(mapping: bytes) -> dict[str, str]:
    """Read a font's map from codes to letters."""
    found = re.findall(r"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]+)>", mapping.decode())
    return {code.lower(): bytes.fromhex(text).decode("utf-16-be") for code, text in found}


def test_a_name_stands_from_right_to_left() -> None:
    """The first letter of a Hebrew name is the rightmost, digits in it keep their order, a Latin name keeps its own."""
    assert HEBREW[::-1] in written_from_left(documents.pdf(invoice(HEBREW)))
    numbered = "".join(written_from_left(documents.pdf(invoice(f"{HEBREW} 2000"))))
    assert "2000" in numbered
    assert numbered.index("2000") < numbered.index(HEBREW[::-1])
    assert "Acme" in written_from_left(documents.pdf(invoice("Acme")))


def test_letters_join() -> None:
    """Arabic letters have their joined forms: lam and alef are one glyph, and the first letter is the rightmost."""
    (name,) = (text for text in written_from_left(documents.pdf(invoice(ARABIC))) if ARABIC[0] in text)
    assert name == "م" + "لا" + "س"


def test_what_stands_around_a_name_keeps_its_place() -> None:
    """A line whose add-on has a Hebrew name begins with it, and goes on from left to right; so it does on the page."""
    one = invoice()
    lines = tuple(line.model_copy(update={"name": HEBREW}) for line in one.lines)
    made = one.model_copy(update={"lines": lines})
    row = "".join(written_from_left(documents.pdf(made)))
    assert f"{HEBREW[::-1]}, 30 Sep 2026 to 19 Oct 2026" in re.sub("[\u2068\u2069]", "", row)
    assert f"<bdi>{HEBREW}</bdi>, 30 Sep 2026" in documents.page(made)
    assert "\u2068" not in Seen(documents.page(made)).text


def test_only_what_needs_it_is_shaped() -> None:
    """Shaping places each letter by itself, at some times the cost: 200 lines of a Hebrew account are not shaped."""
    one = invoice(HEBREW)
    content = documents.pdf(one.model_copy(update={"lines": one.lines * 200}))
    assert content.count(b" Tm ") == documents.pdf(one).count(b" Tm ")
    assert "page 1 of" in text_of(content)
