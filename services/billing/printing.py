"""Makes PDFs without taking the process from what bills: one after another, and few that wait.

What stays true (`tests/billing/test_documents_served.py`): beyond ASKED_MAX the next is refused at once, none is lost.
"""

import asyncio
from typing import Final

from services.billing import documents
from services.billing.queries import ShownInvoice
from services.runtime.errors import Crowded

ASKED_MAX: Final = 8
"""How many PDFs may be asked for at once. At 0.1 s each, or 0.7 s for 200 lines, the last is there in good time."""

COST: Final = 20
"""How many requests a PDF counts as: of 1,200 a minute, 60 PDFs cost a tenth of a CPU, and no caller has more."""


class Printing:
    """One thread's worth of PDFs: two threads share the interpreter, so they would be no faster and delay all else."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._asked = 0

    async def pdf(self, invoice: ShownInvoice) -> bytes:
        """Return an invoice as a PDF. Crowded when too many are asked for."""
        if self._asked >= ASKED_MAX:
            raise Crowded(f"{ASKED_MAX} PDFs are asked for at once")
        self._asked += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(documents.pdf, invoice)
        finally:
            self._asked -= 1
