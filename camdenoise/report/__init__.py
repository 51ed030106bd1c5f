"""A lot on one page that opens by a double click."""

from camdenoise.report._lot_report import lot_report

__all__ = ["lot_report"]
