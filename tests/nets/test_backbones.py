"""Backbones: stages, and the way back to the grid of dies."""

import torch

from camdenoise.nets._backbones import make_backbone


def test_up_path_depends_on_earlier_stages():
    net = make_backbone("wafer_unet", 3, width=4).eval()
    x = torch.rand(2, 5, 32, 32)
    stage = net.stages
    with torch.no_grad():
        s1 = stage["stage1"](stage["stem"](x))
        s2 = stage["stage2"](s1)
        s3 = stage["stage3"](s2)
        s4 = stage["stage4"](s3)
        up = stage["up2"](stage["up3"](stage["context"](s4), s3), s2)
        wanted = net.head(stage["up1"](up, s1), s4)
        torch.testing.assert_close(net(x), wanted)
