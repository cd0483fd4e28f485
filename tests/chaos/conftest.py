"""Fixtures of the crash tests: those of whole deployments."""

from tests.e2e.conftest import bare_deployment, new_deployment

__all__ = ["bare_deployment", "new_deployment"]
