"""Copies of model files that say something else."""

from safetensors import safe_open
from safetensors.torch import save_file

from camdenoise.nets._checkpoint import checksum


def with_metadata(file, target, sealed=True, **changes):
    """Copy a model with other texts beside the weights; None takes one away.

    With `sealed`, the checksum fits.
    """
    with safe_open(file, "pt") as old:
        about = old.metadata() | changes
        weights = {key: old.get_tensor(key) for key in old.keys()}
    about = {name: text for name, text in about.items() if text is not None}
    if sealed:
        about["sha256"] = checksum(about, weights)
    save_file(weights, target, metadata=about)
    return target
