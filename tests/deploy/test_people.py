"""The accounts to try things out with: somebody for every role, stated alike each time."""

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.identity import Role
from deploy.addonflow.people import facts


def test_every_role_is_somebody() -> None:
    """There is a member of every role, an account that buys by itself, and one that needs a quote."""
    accounts = [
        AccountUpdated.model_validate_json(each.value) for each in facts() if each.type == AccountUpdated.ce_type
    ]
    members = [MemberUpdated.model_validate_json(each.value) for each in facts() if each.type == MemberUpdated.ce_type]
    assert {member.role for member in members} == set(Role)
    assert {account.sales_managed for account in accounts} == {True, False}


def test_stating_them_again_changes_nothing() -> None:
    """Every fact is a first revision with an id of its own: whatever has become of them since is newer."""
    stated = facts()
    assert len({each.id for each in stated}) == len(stated)
    assert all(b'"revision":1,' in each.value for each in stated)
    assert [each.value for each in stated] == [each.value for each in facts()]
