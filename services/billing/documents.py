"""An invoice for people: as a page, and as a PDF. Both say what the invoice says, and compute nothing.

What stays true (`tests/billing/test_documents.py`):
- The same invoice is the same bytes: a document has no time but the invoice's own, its fonts are those beside this
  module, and nothing in it depends on the machine. Another release of the PDF library, or another name of an add-on in
  the catalog, may write other bytes.
- Whatever stands in a name or a reason is text: the page escapes it, the PDF never reads it as anything else.

The fonts have Latin, Greek, Cyrillic, Hebrew, Arabic and Armenian letters, among others; a letter they lack (Chinese,
Japanese, Korean, emoji) is blank in the PDF, and itself on the page.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fpdf import FPDF, FontFace, XPos, YPos
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.invoices import BASE_PLAN, InvoiceKind
from contracts.money import Money
from services.billing.proration import day_in_words, days_in_words, seats_in_words
from services.billing.queries import ShownInvoice, ShownLine

_HERE: Final = Path(__file__).parent
_PAGES: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PRODUCER: Final = "addonflow"
_FONT: Final = "DejaVu"
_PAGE_COUNT: Final = "\x1a" * 3  # becomes up to three digits; a control character, as no text of an invoice has one
_HEADINGS: Final = ("Description", "Period", "Quantity", "Unit price", "Amount")
_WIDTHS: Final = (70, 38, 22, 28, 28)
_SHAPED: Final = frozenset({"R", "AL", "NSM"})  # bidirectional classes (UAX #9): Hebrew, Arabic, marks on a letter
_ALIGNED: Final = ("LEFT", "RIGHT", "RIGHT", "RIGHT", "RIGHT")


class _Line(NamedTuple):
    """A line in words: `subject` is what it is for, `more` what its description says behind that."""

    subject: str
    more: str
    period: str
    quantity: str
    unit_price: str
    amount: str
    derivation: str


class _Content(NamedTuple):
    """What both documents show, in words."""

    title: str
    facts: Sequence[tuple[str, str]]
    lines: Sequence[_Line]
    totals: Sequence[tuple[str, str]]


def page(invoice: ShownInvoice) -> str:
    """Return an invoice as an HTML page that needs nothing else: no script, no file, no host."""
    content = _content(invoice)
    return _PAGES.get_template("invoice.html").render(invoice=invoice, headings=_HEADINGS, **content._asdict())


def pdf(invoice: ShownInvoice) -> bytes:
    """Return an invoice as a PDF. It takes about 0.1 s of CPU: call it in a thread."""
    content = _content(invoice)
    document = _Document(f"{content.title} {invoice.invoice_number}")
    document.set_creation_date(invoice.issued_at)
    document.add_page()
    document.set_font(_FONT, "B", 16)
    document.multi_cell(0, 9, document.title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    document.ln(3)
    document.facts(content.facts)
    document.ln(5)
    document.lines(content)
    return bytes(document.output())


class _Document(FPDF):
    """The layout. Text is literal everywhere: no markdown and no HTML is read."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self.title: str = title
        self.set_title(title)
        self.set_lang("en")
        self.set_producer(_PRODUCER)  # the library's own default names its version
        self.set_compression(compress=False)  # zlib's bytes are another on each machine
        self.alias_nb_pages(_PAGE_COUNT)
        self.set_margins(12, 12)
        self.set_auto_page_break(auto=True, margin=18)
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
            self.add_font(_FONT, style, _HERE / "fonts" / name)

    def footer(self) -> None:
        """Write which page it is."""
        self.set_y(-12)
        self.set_font(_FONT, "", 7)
        self.cell(0, 5, f"{self.title}, page {self.page_no()} of {_PAGE_COUNT}", align="R")

    def _shape_where_needed(self, texts: Iterable[str]) -> None:
        """Have the letters of what follows ordered and joined where a text asks for it: that places each by itself."""
        self.set_text_shaping(any(_is_shaped(text) for text in texts))

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Write names and values below each other."""
        self._shape_where_needed(value for _, value in facts)
        for name, value in facts:
            self.set_font(_FONT, "B", 9)
            self.cell(36, 5, name)
            self.set_font(_FONT, "", 9)
            self.multi_cell(0, 5, value, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def lines(self, content: _Content) -> None:
        """Write the table of lines, its headings again on each page, and the totals below it."""
        self._shape_where_needed(text for line in content.lines for text in line)
        self.set_font(_FONT, "", 8)
        heading = FontFace(emphasis="BOLD")
        with self.table(
            col_widths=_WIDTHS,
            text_align=_ALIGNED,
            borders_layout="HORIZONTAL_LINES",
            headings_style=heading,
            line_height=5,
        ) as table:
            table.row(_HEADINGS)
            for line in content.lines:
                description = _with_name_apart(line.subject, line.more)
                table.row((description, line.period, line.quantity, line.unit_price, line.amount))
                table.row().cell(line.derivation, colspan=len(_HEADINGS), align="LEFT")
            for name, value in content.totals:
                row = table.row(style=heading)
                row.cell(name, colspan=len(_HEADINGS) - 1, align="RIGHT")
                row.cell(value)


def _content(invoice: ShownInvoice) -> _Content:
    is_credit = invoice.kind is InvoiceKind.CREDIT
    facts = [
        ("Billed to", invoice.billed_to),
        ("Account", invoice.account_id),
        ("Kind", invoice.kind.value),
        ("Issued", f"{day_in_words(invoice.issued_at.date())}, {invoice.issued_at:%H:%M} UTC"),
        ("Of" if is_credit else "Due", day_in_words(invoice.due_date)),
        ("Currency", invoice.currency),
    ]
    if invoice.by is not None:
        facts += [("Ordered by", invoice.by.staff_id), ("Reason", invoice.by.reason)]
    totals = [("Total", str(invoice.total))]
    if invoice.credited.amount_minor:
        left = invoice.total.amount_minor - invoice.credited.amount_minor
        totals += [
            ("Credited since", str(Money(amount_minor=-invoice.credited.amount_minor, currency=invoice.currency))),
            ("Left", str(Money(amount_minor=left, currency=invoice.currency))),
        ]
    return _Content(
        title="Credit note" if is_credit else "Invoice",
        facts=[(name, _in_one_line(value)) for name, value in facts],
        lines=[_line(line) for line in invoice.lines],
        totals=totals,
    )


def _line(line: ShownLine) -> _Line:
    has_seats = line.credits is None and line.subscription_id != BASE_PLAN
    subject, more = _description(line)
    return _Line(
        subject=_in_one_line(subject),
        more=_in_one_line(more),
        period=days_in_words(line.period.from_, line.period.to),
        quantity=seats_in_words(line.quantity.total) if has_seats else "",
        unit_price=str(line.unit_price),
        amount=str(line.amount),
        derivation=_in_one_line(line.derivation),
    )


def _description(line: ShownLine) -> tuple[str, str]:
    """Return a line's description in two parts: the name of the add-on in place of its id, and what is said of it."""
    said = line.description.removeprefix(f"{line.add_on}, ")
    return (line.description, "") if said == line.description else (line.name, f", {said}")


def _with_name_apart(name: str, more: str) -> str:
    """Join a name and what stands behind it; one that is written from right to left is isolated (UAX #9)."""
    return f"\u2068{name}\u2069{more}" if _is_shaped(name) else name + more


def _is_shaped(text: str) -> bool:
    """Whether the letters of a text stand otherwise than one beside the other from left to right."""
    return any(unicodedata.bidirectional(letter) in _SHAPED for letter in text)


def _in_one_line(text: str) -> str:
    """Return text without control characters: they have no letter, and would move what follows them."""
    return "".join(letter if letter >= " " and not "\x7f" <= letter <= "\x9f" else " " for letter in text)
