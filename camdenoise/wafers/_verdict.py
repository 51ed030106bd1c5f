"""Verdicts: what is said of a wafer as a whole, the same in all results."""

from __future__ import annotations

#: One known pattern.
PATTERN = "pattern"
#: Several known patterns, each with its own fails.
MIXED = "mixed"
#: A pattern, but unlike the training wafers.
UNKNOWN = "unknown pattern"
#: Fails everywhere, such as Random and Near-full.
EVERYWHERE = "everywhere"
#: No pattern.
NONE = "none"
#: A pattern is likelier than none, but to claim it would exceed the rate of false alarms.
UNSURE = "unsure"
#: Not enough of the wafer was tested.
PARTIAL = "partial"
#: The map could not be read.
ERROR = "error"

VERDICTS = (PATTERN, MIXED, UNKNOWN, EVERYWHERE, NONE, UNSURE, PARTIAL, ERROR)
#: Verdicts that claim a pattern: the kept fails belong to it.
CLAIMS = (PATTERN, MIXED, UNKNOWN)
