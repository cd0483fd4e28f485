"""Entitlements: who may do what with which add-on, and what an account has."""
