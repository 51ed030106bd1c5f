"""U-Net: the default classifier's stages, and a way back to one logit per input pixel.

Encoder and decoder are modules of their own. The decoder asks only for what the stages put out, so
a die-level head can be put beside the class label of a `wafer_resnet` as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

from camdenoise.nets._backbones import ResidualBlock, residual_stages, stage_widths


class UNet(nn.Module):
    """Residual encoder and decoder with skip connections (Ronneberger et al. 2015, 1505.04597).

    Parameters
    ----------
    width : int, default=8
        Channels of the first stage; the last has eight times as many. Width 8 has 0.12 million
        parameters.
    skips : bool, default=True
        Give the decoder each stage's output. Without, everything has to pass through the coarsest
        grid, which makes it an autoencoder with a bottleneck.
    """

    def __init__(self, width: int = 8, *, skips: bool = True):
        super().__init__()
        self.stages = nn.ModuleDict(residual_stages(width))
        # The stem has the grid of the first stage, and nothing that this stage has not.
        self.decoder = Decoder(stage_widths(width)[1:], skips=skips)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of each pixel, shape (batch, height, width)."""
        features = []
        for stage in self.stages.values():
            x = stage(x)
            features.append(x)
        return self.decoder(features[1:])


class Decoder(nn.Module):
    """From the outputs of an encoder's stages to one logit per pixel of the finest.

    Parameters
    ----------
    widths : sequence of int
        Channels of the stages, the finest first.
    skips : bool, default=True
        Use all stages, or only the coarsest and the others' sizes.
    """

    def __init__(self, widths: Sequence[int], *, skips: bool = True):
        super().__init__()
        self.skips = skips
        self.narrow = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1, bias=False)
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.blocks = nn.ModuleList(
            ResidualBlock(2 * fine if skips else fine, fine, 1) for fine in widths[:-1]
        )
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the logits, shape (batch, height, width), for features of the finest first."""
        x = features[-1]
        for level in reversed(range(len(self.blocks))):
            finer = features[level]
            x = interpolate(self.narrow[level](x), size=finer.shape[-2:], mode="bilinear")
            x = self.blocks[level](torch.cat([x, finer], dim=1) if self.skips else x)
        return self.head(x)[:, 0]
