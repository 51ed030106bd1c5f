"""Save and load trained models; a file's format names its estimator."""

from __future__ import annotations

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from camdenoise.classification._classifier import WaferClassifier
from camdenoise.classification._saved import KIND as CLASSIFIER
from camdenoise.classification._saved import restore_classifier, save_classifier
from camdenoise.denoising._cam_denoiser import CamDenoiser
from camdenoise.denoising._saved import KIND as DENOISER
from camdenoise.denoising._saved import restore_denoiser, save_denoiser
from camdenoise.models._upgrade import upgrade
from camdenoise.nets._checkpoint import SCHEMA, read_checkpoint, write_checkpoint


def save_model(model: WaferClassifier | CamDenoiser, path: str | os.PathLike) -> None:
    """Save a trained classifier or denoiser to one file, whole or not at all.

    Parameters
    ----------
    model : WaferClassifier or CamDenoiser
        A fitted one. A denoiser is saved with its classifier and its calibration.
    path : path-like
        The file to write, usually ``*.safetensors``. An existing file is replaced when the new one
        is complete.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        For a model that was not fitted.
    ValueError
        For class labels that are neither text, whole numbers nor truth values.

    See Also
    --------
    load_model : Read it again.

    Notes
    -----
    The file holds the weights, the labels, the parameters and, of a denoiser, its calibration; also
    the versions of the packages and a SHA-256 of all of it. It does not hold `class_weight`, the
    background wafers of `augmentation` and a `random_state` that is not a number, which matter in
    training only, nor the skorch net. A denoiser is loaded around a frozen classifier.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from camdenoise import WaferClassifier, load_model, save_model
    >>> from camdenoise.datasets import make_wafer_maps
    >>> wafers = make_wafer_maps(20, random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, max_epochs=1, random_state=0)
    >>> clf = clf.fit(wafers.maps, wafers.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.safetensors")
    ...     save_model(clf, file)
    ...     again = load_model(file)
    >>> bool((again.predict(wafers.maps) == clf.predict(wafers.maps)).all())
    True
    """
    check_is_fitted(model)
    is_denoiser = isinstance(model, CamDenoiser)
    write_checkpoint(path, save_denoiser(model) if is_denoiser else save_classifier(model))


def load_model(
    path: str | os.PathLike, *, device: str = "cpu", **params: Any
) -> WaferClassifier | CamDenoiser:
    """Load a classifier or a denoiser that `save_model` wrote; runs no code from the file.

    Parameters
    ----------
    path : path-like
        The file.
    device : str, default="cpu"
        Device of the loaded model, independent of the device of training.
    **params
        Parameters to use instead of those in the file: of the denoiser, and `precision` of the
        classifier in it.

    Returns
    -------
    WaferClassifier or CamDenoiser
        Whichever was saved. Fitted; without `net_`, which only training needs.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a file that is damaged, of another kind or of a later version of camdenoise, or
        `params` that do not fit.

    Notes
    -----
    Files of all earlier formats are read; those of the first hold no checksum to compare. The
    checksum shows accidents: a person who changes a file can write one that fits.
    """
    checkpoint = read_checkpoint(path, (CLASSIFIER, DENOISER))
    is_denoiser = "denoiser" in checkpoint.texts
    wanted = DENOISER if is_denoiser else CLASSIFIER
    if checkpoint.kind != wanted:
        raise ValueError(
            f"{path} is not a model that camdenoise saved: its format is {checkpoint.kind!r}, "
            f"not '{wanted}/{SCHEMA}'. Give a file that save_model wrote."
        )
    try:
        checkpoint = upgrade(checkpoint)
        if is_denoiser:
            model = restore_denoiser(CamDenoiser, checkpoint, device)
        else:
            model = restore_classifier(WaferClassifier, checkpoint, device)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not a model that camdenoise saved: {error}") from error
    if not params:
        return model
    if not is_denoiser:
        raise ValueError(f"{', '.join(params)}: {path} holds a classifier, which takes none.")
    if params.get("novelty_rate") is not None and model.calibration_.references is None:
        raise ValueError(
            f"novelty_rate={params['novelty_rate']}: {path} holds no known wafers to compare "
            "with. Fit the denoiser with a novelty_rate, on labeled wafers, and save it again."
        )
    return restore_denoiser(CamDenoiser, checkpoint, device, **params)
