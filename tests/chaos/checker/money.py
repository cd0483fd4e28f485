"""What is billed: each line by its derivation, each subscription and currency by the oracle, each cycle once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from contracts.topics import BACKOFFICE
from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.oracle import expected_minor, line_minor


def invoices_are_their_lines(evidence: Evidence) -> Iterator[str]:
    """An invoice's total is the sum of its lines, all of one currency, and each line comes to its own derivation."""
    for invoice in evidence.invoices:
        said = invoice.data
        total = sum(line["amount"]["amount_minor"] for line in said["lines"])
        if said["total"]["amount_minor"] != total:
            yield f"{said['invoice_number']} says {said['total']['amount_minor']}, its lines come to {total}"
        amounts = (said["total"], *(each["amount"] for each in said["lines"]))
        currencies = {said["currency"], *(each["currency"] for each in amounts)}
        if len(currencies) > 1:
            yield f"{said['invoice_number']} is in {sorted(currencies)}"
        for line in said["lines"]:
            if line["amount"]["amount_minor"] != line_minor(line):
                yield f"{said['invoice_number']} charges {line['amount']['amount_minor']}, not {line_minor(line)}"


def invoice_numbers_without_a_gap(evidence: Evidence) -> Iterator[str]:
    """An account's invoices are numbered 1, 2, 3 and so on."""
    numbers: dict[str, list[str]] = defaultdict(list)
    for invoice in evidence.invoices:
        numbers[invoice.data["account_id"]].append(invoice.data["invoice_number"])
    for account, found in numbers.items():
        if found != [f"{account}-{number:06d}" for number in range(1, len(found) + 1)]:
            yield f"{account} has the invoices {found}"


def subscriptions_cost_what_the_oracle_says(evidence: Evidence) -> Iterator[str]:
    """What a subscription was charged, and what a currency comes to, is what the oracle works out of what was sold."""
    charged: Counter[tuple[str, str]] = Counter()
    billed: Counter[str] = Counter()
    for account, line in _lines(evidence):
        billed[line["amount"]["currency"]] += line["amount"]["amount_minor"]
        if not line.get("credits"):
            charged[account, line["subscription_id"]] += line["amount"]["amount_minor"]
    owed: Counter[str] = Counter()
    sold = set()
    for account, purchase, changes in _subscriptions(evidence):
        key = (account, purchase["subscription_id"])
        sold.add(key)
        expected = expected_minor(purchase, changes, evidence.now)
        owed[purchase["terms"]["currency"]] += expected
        if charged[key] != expected:
            yield f"{key[1]} of {account} was charged {charged[key]}, not {expected}"
    for account, subscription in charged.keys() - sold:
        yield f"{subscription} of {account} is charged and was never sold"
    given = _given_back(evidence)
    for currency in owed.keys() | billed.keys():
        if billed[currency] != owed[currency] - given[currency]:
            yield f"{currency}: billed {billed[currency]}, owed {owed[currency]} less {given[currency]} given back"


def one_invoice_per_cycle(evidence: Evidence) -> Iterator[str]:
    """A subscription has at most one charge for a cycle that is no addition to it: that of its start or its renewal."""
    cycles: Counter[tuple[str, str, str]] = Counter()
    for invoice in evidence.invoices:
        if invoice.data["kind"] in ("immediate", "renewal"):
            for line in invoice.data["lines"]:
                cycles[invoice.data["account_id"], line["subscription_id"], line["period"]["to"]] += 1
    for (account, subscription, until), number in cycles.items():
        if number > 1:
            yield f"{subscription} of {account} is charged {number} times for the cycle that ends {until}"


def access_is_not_below_what_is_paid(evidence: Evidence) -> Iterator[str]:
    """Whoever bought an add-on may use it."""
    has = {(each.account_id, each.add_on) for each in evidence.access if each.entitled}
    for purchase in evidence.events_of("AddOnPurchased"):
        key = (purchase.attributes["ce_subject"], purchase.data["add_on"])
        if key not in has:
            said = [each.said for each in evidence.access if (each.account_id, each.add_on) == key]
            yield f"{key[0]} pays for {key[1]} and may not use it: {said}"


def _lines(evidence: Evidence) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((each.data["account_id"], line) for each in evidence.invoices for line in each.data["lines"])


def _subscriptions(evidence: Evidence) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    changes: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in evidence.events_of("SubscriptionModified"):
        changes[each.data["subscription_id"]].append(each.data)
    for each in evidence.events_of("AddOnPurchased"):
        yield each.attributes["ce_subject"], each.data, changes[each.data["subscription_id"]]


def _given_back(evidence: Evidence) -> Counter[str]:
    """Return what was asked to be given back and accepted, by currency."""
    asked = evidence.first_of_each(BACKOFFICE.name)
    given: Counter[str] = Counter()
    for key, answers in evidence.answers.items():
        for answer in (each for each in answers if each.type == "CreditAccepted"):
            amount = asked[key].data["amount"]
            given[amount["currency"]] += amount["amount_minor"]
            assert answer.data["events"]
    return given
