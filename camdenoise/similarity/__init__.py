"""Which wafers look alike, and which new patterns a pile of them holds."""

from camdenoise.similarity._discovery import ProposedPattern, discover_patterns
from camdenoise.similarity._embedding import WaferEmbedding
from camdenoise.similarity._neighbors import mean_average_precision, similar_wafers

__all__ = [
    "ProposedPattern",
    "WaferEmbedding",
    "discover_patterns",
    "mean_average_precision",
    "similar_wafers",
]
