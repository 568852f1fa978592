"""The fixtures of landing: raw is loaded from it."""

from tests.landing.conftest import company, csv_file, landed

__all__ = ["company", "csv_file", "landed"]
