"""Billing: turns a purchase into one invoice, at once and to the cent."""
