"""Fakes, the cluster under test, load. Never imports a conftest."""
