"""U-Net: the stages of `wafer_resnet`, and a way back to one logit per input pixel."""

from __future__ import annotations

import torch
from torch import nn

from camdenoise.nets._backbones import UpBlock, residual_stages, stage_widths


class UNet(nn.Module):
    """Residual encoder and decoder with skip connections (Ronneberger et al. 2015, 1505.04597).

    Parameters
    ----------
    width : int, default=8
        Channels of the first stage; the last has eight times as many. Width 8 has 0.12 million
        parameters.
    """

    def __init__(self, width: int = 8):
        super().__init__()
        self.stages = nn.ModuleDict(residual_stages(width))
        # The stem has the grid of the first stage, and nothing that this stage has not.
        widths = stage_widths(width)[1:]
        self.ups = nn.ModuleList(
            UpBlock(coarse, fine) for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of each pixel, shape (batch, height, width)."""
        features = []
        for stage in self.stages.values():
            x = stage(x)
            features.append(x)
        for up, finer in zip(reversed(self.ups), reversed(features[1:-1]), strict=True):
            x = up(x, finer)
        return self.head(x)[:, 0]
