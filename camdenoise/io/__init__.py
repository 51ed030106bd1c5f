"""File formats; `camdenoise.datasets` has the functions that load them."""
