"""The doors of billing, over a real store: previews, invoices and the bill to come."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from contracts.accounts import Licenses
from contracts.commands import PurchaseAddOn
from contracts.events import AddOnPurchased
from contracts.invoices import InvoiceIssued
from services.entitlements.domain import EntitlementsDecider
from services.runtime.authentication import PRODUCT_SCOPE
from tests.billing.bills import account_fact
from tests.billing.opening import CREDITS, INVOICES, PREVIEW, READS, ROOT, UPCOMING, as_staff, billing, numbers
from tests.billing.previewing import ACCOUNT, CATALOG, NOW, account, member
from tests.billing.scenario import purchase
from tests.doors import ISSUER, Opened
from tests.promising import KEYS
from tests.scenario import Scenario
from tests.tokens import bearer


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give billing with its doors open."""
    async with billing(embedded_valkey_url) as opened_service:
        yield opened_service


async def test_an_owner_previews_an_add_on(service: Opened) -> None:
    """The preview has what it is promised to have: figures as minor units, periods, share, derivation and a promise."""
    reply = await service.post(PREVIEW, None, key=None)
    assert reply.status_code == 200
    shown = reply.json()
    token = shown["promise"].pop("token")
    assert shown == {
        "account_id": "acme",
        "add_on": "analytics_plus",
        "as_of": "2026-09-30T16:00:00Z",
        "licenses": {"standard": 50, "additional": 10},
        "unit_price": {"amount_minor": 1795, "currency": "USD"},
        "price_version": "2020-01",
        "frequency": "monthly",
        "today": {
            "amount": {"amount_minor": 71800, "currency": "USD"},
            "period": {"from": "2026-09-30", "to": "2026-10-20"},
            "days": {"billed": 20, "in_cycle": 30},
            "share": {"numerator": 20, "denominator": 30},
            "rule": "day",
            "derivation": (
                "17.95 USD x 60 seats x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 718.00 USD"
            ),
        },
        "next_bill": {
            "date": "2026-10-20",
            "amount": {"amount_minor": 107700, "currency": "USD"},
            "total": {"amount_minor": 107700, "currency": "USD"},
        },
        "promise": {"expires_at": "2026-09-30T16:15:00Z"},
    }
    assert KEYS.read(token, ACCOUNT, "analytics_plus") is not None


async def test_what_is_previewed_over_http_is_charged(service: Opened) -> None:
    """The promise of a preview, sent to entitlements as a purchase, comes to an invoice of that amount."""
    shown = (await service.post(PREVIEW, None, key=None)).json()
    story = Scenario(EntitlementsDecider(CATALOG, KEYS), ACCOUNT, NOW + timedelta(minutes=10))
    story.given(account(), member("owner"))
    token = shown["promise"]["token"]
    story.when(PurchaseAddOn(account_id=ACCOUNT, user_id="owner", add_on="analytics_plus", price_promise=token))
    (event,) = story.emitted_of(AddOnPurchased)
    await service.tell(event)
    (bill,) = (await service.get(INVOICES)).json()["invoices"]
    assert bill["total"] == shown["today"]["amount"]


async def test_the_preview_is_of_the_time_of_the_deployment(service: Opened) -> None:
    """A clock that was moved moves the preview, and the life of its promise."""
    service.clock.advance(timedelta(days=1))
    shown = (await service.post(PREVIEW, None, key=None)).json()
    assert shown["today"]["days"] == {"billed": 19, "in_cycle": 30}
    assert shown["promise"]["expires_at"] == "2026-10-01T16:15:00Z"


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (f"{ROOT}/add-ons/telepathy/preview", 404, "add_on_unknown"),
        (f"{ROOT}/add-ons/{'x' * 65}/preview", 422, "request_invalid"),
        (f"{ROOT}/add-ons/analytics_plus/preview", 409, "quote_required"),
    ],
)
async def test_a_preview_is_refused_in_words(service: Opened, path: str, status: int, reason: str) -> None:
    """What cannot be previewed is a problem with the reason code of the purchase."""
    await service.tell(account(2, licenses=Licenses(standard=500)))
    reply = await service.post(path, None, key=None)
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)


@pytest.mark.parametrize(("method", "path"), READS)
@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("admin", "role_not_permitted"),
        ("supervisor", "role_not_permitted"),
        ("agent", "role_not_permitted"),
        ("nobody", "member_unknown"),
    ],
)
async def test_only_owners_see_figures(service: Opened, method: str, path: str, user: str, reason: str) -> None:
    """Whoever is not an Owner is refused (403) with whom to ask, and sees no figure."""
    await service.tell(purchase())
    reply = await service.client.request(method, path, headers=bearer(ISSUER.token(user, ACCOUNT)))
    assert (reply.status_code, reply.json()["reason"], reply.json()["ask"]) == (403, reason, "owner")
    assert "amount" not in reply.text


@pytest.mark.parametrize(("method", "path"), [*READS, ("POST", CREDITS)])
async def test_nobody_reads_another_account(service: Opened, method: str, path: str) -> None:
    """An Owner of another account, and a product, are refused, whether or not the account exists."""
    for headers in (bearer(ISSUER.token("owner", "globex")), bearer(ISSUER.token("p", None, scope=PRODUCT_SCOPE))):
        reply = await service.client.request(method, path, headers=headers | {"Idempotency-Key": "k"}, json={})
        assert (reply.status_code, reply.json()["reason"]) == (403, "not_permitted")


async def test_an_account_nobody_told_of_is_unknown(service: Opened) -> None:
    """An account without a fact is 404, for its own Owner and for staff."""
    own = await service.get("/v1/accounts/globex/invoices", account="globex")
    assert (own.status_code, own.json()["reason"]) == (404, "account_unknown")
    for path in ("invoices", "upcoming-bill", "invoices/globex-000001"):
        reply = await as_staff(service, f"/v1/accounts/globex/{path}")
        assert (reply.status_code, reply.json()["reason"]) == (404, "account_unknown")


async def test_invoices_come_in_pages_newest_first(service: Opened) -> None:
    """Following `next` shows every invoice once, newest first; the last page has no `next`."""
    await service.tell(*(purchase(f"sub-{each}", add_on=f"add_on_{each}") for each in range(5)))
    first = await service.get(f"{INVOICES}?limit=2")
    second = await service.get(f"{INVOICES}?limit=2&before={first.json()['next']}")
    third = await service.get(f"{INVOICES}?limit=2&before={second.json()['next']}")
    assert [numbers(first), numbers(second), numbers(third)] == [
        ["acme-000005", "acme-000004"],
        ["acme-000003", "acme-000002"],
        ["acme-000001"],
    ]
    assert "next" not in third.json()
    assert numbers(await service.get(f"{INVOICES}?before=acme-000001")) == []
    assert len(numbers(await service.get(f"{INVOICES}?limit=5&before=acme-000999"))) == 5


async def test_an_account_without_invoices_has_an_empty_page(service: Opened) -> None:
    """An account that was never billed has no invoices, and that is no error."""
    reply = await service.get(INVOICES)
    assert (reply.status_code, reply.json()) == (200, {"account_id": "acme", "invoices": []})


@pytest.mark.parametrize(
    "query",
    [
        "before=",
        "before=globex-000001",
        "before=acme-1",
        "before=acme-000000",
        "before=acme--00001",
        "before=1",
        "before=acme-\u0660\u0660\u0660\u0660\u0660\u0661",
        "before=%00",
        f"before=acme-{'9' * 250}",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=two",
        "limit=1e1",
    ],
)
async def test_a_malformed_cursor_is_told(service: Opened, query: str) -> None:
    """A page that does not exist by the API's own words is 422, and says which part is wrong."""
    reply = await service.get(f"{INVOICES}?{query}")
    assert (reply.status_code, reply.json()["reason"]) == (422, "request_invalid")
    assert query.partition("=")[0] in reply.json()["detail"]


async def test_an_invoice_explains_each_line(service: Opened) -> None:
    """An invoice is shown as it was issued, with a name and a derivation for each line, and to whom it was billed."""
    await service.tell(purchase())
    (outgoing,) = await service.said()
    shown = (await service.get(f"{INVOICES}/acme-000001")).json()
    assert [line.pop("derivation") for line in shown["lines"]] == [
        "17.95 USD x 1 seat x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 11.97 USD"
    ]
    assert [line.pop("name") for line in shown["lines"]] == ["Analytics_Plus"]
    assert (shown.pop("billed_to"), shown.pop("credited")) == ("Acme", {"amount_minor": 0, "currency": "USD"})
    assert InvoiceIssued.model_validate(shown) == InvoiceIssued.model_validate_json(outgoing.value)


@pytest.mark.parametrize(
    "number",
    ["acme-000002", "globex-000001", "x", "acme-1", "acme-0000001", "%00", "<b>", "acme-" + "9" * 19, "9" * 200],
)
async def test_an_unknown_invoice_is_not_found(service: Opened, number: str) -> None:
    """What is no invoice of the account is 404 invoice_unknown, for Owners and for staff."""
    await service.tell(purchase())
    for reply in (await service.get(f"{INVOICES}/{number}"), await as_staff(service, f"{INVOICES}/{number}")):
        assert (reply.status_code, reply.json()["reason"]) == (404, "invoice_unknown")


@pytest.mark.parametrize("number", ["9" * 201, "acme-" + "9" * 5_000])
async def test_an_overlong_invoice_number_is_told(service: Opened, number: str) -> None:
    """A number longer than any is 422 to those who may ask, and 401 before that to those who say not who they are."""
    for target in (f"{INVOICES}/{number}{rest}" for rest in ("", "/document.html", "/document.pdf")):
        for reply in (await service.get(target), await as_staff(service, target)):
            assert (reply.status_code, reply.json()["reason"]) == (422, "request_invalid")
        assert (await service.client.get(target)).status_code == 401


async def test_the_name_on_an_invoice_is_that_of_its_day(service: Opened) -> None:
    """An account that is renamed keeps its earlier name on earlier invoices."""
    await service.tell(purchase())
    await service.tell(account(2, name="Zażółć 株式会社"), purchase("sub-2", add_on="aircall_ai"))
    names = [(await service.get(f"{INVOICES}/acme-00000{each}")).json()["billed_to"] for each in (1, 2)]
    assert names == ["Acme", "Zażółć 株式会社"]


async def test_the_bill_to_come_is_what_the_renewal_charges(service: Opened) -> None:
    """The upcoming bill has the lines, the day and the total of the renewal, base plan included."""
    await service.tell(account_fact(2), purchase())
    shown = (await service.get(UPCOMING)).json()
    assert (shown["date"], shown["currency"], shown["total"]["amount_minor"]) == ("2026-10-20", "USD", 4_290)
    assert [(line["add_on"], line["name"], line["amount"]["amount_minor"]) for line in shown["lines"]] == [
        ("base_plan", "Professional", 2_495),
        ("analytics_plus", "Analytics_Plus", 1_795),
    ]
    assert all(line["derivation"].endswith(" USD") for line in shown["lines"])
    assert (await as_staff(service, UPCOMING)).json() == shown


async def test_a_bill_that_is_due_and_not_issued_yet_is_the_bill_to_come(service: Opened) -> None:
    """Asked between the midnight of a cycle and the timer, the door shows that cycle's bill and not the one after."""
    await service.tell(account_fact(2), purchase())
    before = (await service.get(UPCOMING)).json()
    service.clock.advance(timedelta(days=20))
    assert before["date"] == "2026-10-20"
    assert (await service.get(UPCOMING)).json() == before


async def test_nothing_to_come_is_said_as_nothing(service: Opened) -> None:
    """An account without a subscription has no date, no lines and a total of nothing in its currency."""
    shown = (await service.get(UPCOMING)).json()
    nothing = {"amount_minor": 0, "currency": "USD"}
    assert shown == {"account_id": "acme", "currency": "USD", "lines": [], "total": nothing}
