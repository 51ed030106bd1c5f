"""CAMs equal pytorch-grad-cam's, before its scaling, and leave the net as they found it."""

import threading
from copy import copy

import numpy as np
import pytest
import torch
from maps_of_shapes import some_maps
from small_models import fitted_classifier

from camdenoise.cam import (
    GRADIENT_METHODS,
    PACKAGE_METHODS,
    activation_maps,
    auto_layers,
    evidence_maps,
    randomcam,
)
from camdenoise.nets._augmentation import symmetry, undo_symmetry
from camdenoise.nets._backbones import make_backbone
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._inference import inference_net

PACKAGE_CLASS = {
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
}
NETS = {
    "vgg11_bn": ["block3", "block4"],
    "resnet18": ["layer2", "layer4"],
    "efficientnet_b0": ["blocks2", "conv_head"],
    "mobilenetv3_small_100": ["blocks1", "blocks3"],
    "wafer_resnet": ["stage2", "stage3", "stage4"],
    "wafer_unet": ["stage1", "context", "up2", "up1"],
}


def net_and_images(name, seed=0, n=3):
    torch.manual_seed(seed)
    net = make_backbone(name, 4).eval()
    return net, torch.rand(n, net.n_planes, 64, 64)


def package_maps(net, images, layer, method, codes):
    """What pytorch-grad-cam computes, taken before it scales each map to 0..1."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with getattr(pytorch_grad_cam, PACKAGE_CLASS[method])(net, [net.stages[layer]]) as cam:
        targets = [ClassifierOutputTarget(int(code)) for code in codes]
        cam(images.clone(), targets=targets)
        activations = cam.activations_and_grads.activations[0].numpy()
        gradients = cam.activations_and_grads.gradients[0].numpy()
        raw = cam.get_cam_image(
            images, net.stages[layer], targets, activations, gradients, eigen_smooth=False
        )
    return np.maximum(raw, 0)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize("name", NETS)
def test_activation_maps_equal_pytorch_grad_cam(name, method):
    # This seed leaves some evidence in every map, so that zero does not equal zero.
    net, images = net_and_images(name, seed=1)
    codes = torch.tensor([0, 3, 1])
    ours = activation_maps(net, images, NETS[name], method=method, targets=codes).layers
    for layer in NETS[name]:
        theirs = package_maps(net, images, layer, method, codes)
        scale = max(theirs.max(), 1e-12)
        assert theirs.max() > 0
        np.testing.assert_allclose(ours[layer].numpy() / scale, theirs / scale, atol=1e-5)


def test_activation_maps_return_the_nets_logits():
    net, images = net_and_images("wafer_resnet")
    result = activation_maps(net, images, ["stage3"])
    with torch.no_grad():
        torch.testing.assert_close(result.logits, net(images))
    assert torch.equal(result.targets, result.logits.argmax(1))


def test_activation_maps_of_batch_equal_one_by_one():
    net, images = net_and_images("wafer_resnet", n=4)
    together = activation_maps(net, images, ["stage2"]).layers["stage2"]
    alone = [activation_maps(net, image[None], ["stage2"]).layers["stage2"] for image in images]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-4)


def test_last_layer_of_linear_head_equals_original_cam():
    net, images = net_and_images("wafer_resnet")
    result = activation_maps(net, images, ["stage4"], method="hirescam")
    with torch.no_grad():
        x = images
        for stage in net.stages.values():
            x = stage(x)
        weights = net.head[-1].weight[result.targets]
        expected = torch.einsum("nk,nkhw->nhw", weights, x).relu() / (x.shape[-1] * x.shape[-2])
    torch.testing.assert_close(result.layers["stage4"], expected, atol=1e-6, rtol=1e-4)


class Hidden(torch.nn.Module):
    """A head whose kind cannot be told, so that it has to be differentiated."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, x):
        return self.head(x)


def max_pooled_linear(head):
    return torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), *head[1:])


@pytest.mark.parametrize("change", [lambda head: head, max_pooled_linear], ids=["mean", "max"])
@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_last_layer_needs_no_gradient(method, change):
    net, images = net_and_images("wafer_resnet")
    net.head = change(net.head)
    known = activation_maps(net, images, ["stage4"], method=method)
    net.head = Hidden(net.head)
    found = activation_maps(net, images, ["stage4"], method=method)
    torch.testing.assert_close(known.logits, found.logits)
    torch.testing.assert_close(known.layers["stage4"], found.layers["stage4"])


def test_activation_maps_leave_net_unchanged():
    net, images = net_and_images("resnet18")
    net.train()
    net.stages["layer1"].eval()
    modes = [module.training for module in net.modules()]
    state = {name: value.clone() for name, value in net.state_dict().items()}
    before = images.clone()
    for method in ("layercam", "eigencam", "eigengradcam", "fullgrad"):
        activation_maps(net, images, ["layer3"], method=method)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in net.modules())
    assert torch.equal(images, before)


def test_training_mode_does_not_change_the_maps():
    net, images = net_and_images("wafer_resnet")
    expected = activation_maps(net, images, ["stage3"]).layers["stage3"]
    torch.testing.assert_close(
        activation_maps(net.train(), images, ["stage3"]).layers["stage3"], expected
    )


def test_in_place_stage_leaves_map_unchanged():
    net, images = net_and_images("wafer_resnet")
    expected = activation_maps(net, images, ["stage2", "stage3"]).layers
    for name in ("stage3", "stage4"):
        net.stages[name] = torch.nn.Sequential(torch.nn.ReLU(inplace=True), net.stages[name])
    again = activation_maps(net, images, ["stage2", "stage3"]).layers
    for name, values in expected.items():
        torch.testing.assert_close(again[name], values)


def test_threads_share_one_net():
    net, images = net_and_images("wafer_resnet", n=8)
    expected = [activation_maps(net, image[None], ["stage2"]).layers["stage2"] for image in images]
    found = [None] * len(images)

    def explain(row):
        for _ in range(5):
            found[row] = activation_maps(net, images[row][None], ["stage2"]).layers["stage2"]

    threads = [threading.Thread(target=explain, args=(row,)) for row in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_map_without_evidence_is_zero():
    activation = torch.rand(1, 2, 4, 4)
    for method in GRADIENT_METHODS.values():
        assert method(activation, torch.zeros_like(activation)).abs().max() == 0


@pytest.mark.parametrize("method", sorted(set(PACKAGE_METHODS) - {"ablationcam", "scorecam"}))
def test_package_methods_return_maps(method):
    torch.manual_seed(0)
    net = make_backbone("wafer_resnet", 3, width=4).eval()
    values = activation_maps(net, torch.rand(2, 3, 32, 32), ["stage4"], method=method)
    grid = values.layers["stage4"]
    assert grid.shape == (2, 32, 32)
    assert 0 <= grid.min() and grid.max() <= 1 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ablationcam", "scorecam"])
def test_slow_package_methods_return_maps(method):
    torch.manual_seed(0)
    net = make_backbone("wafer_resnet", 3, width=4).eval()
    values = activation_maps(net, torch.rand(2, 3, 32, 32), ["stage4"], method=method)
    assert values.layers["stage4"].shape == (2, 32, 32)


def test_randomcam_draws_weights_per_image():
    activation = torch.zeros(500, 2, 2, 2)
    activation[:, 0, 0, 0] = activation[:, 1, 1, 1] = 1  # so the map shows the positive weights
    values = randomcam(activation, torch.zeros_like(activation), random_state=0)
    weights = np.random.RandomState(0).uniform(-1, 1, (500, 2)).astype(np.float32)
    np.testing.assert_array_equal(values[:, [0, 1], [0, 1]], np.maximum(weights, 0))


def test_randomcam_is_repeatable():
    net, images = net_and_images("wafer_resnet")

    def maps(seed):
        layers = ["stage2", "stage4"]
        result = activation_maps(net, images, layers, method="randomcam", random_state=seed)
        return torch.cat([values.flatten() for values in result.layers.values()])

    assert torch.equal(maps(0), maps(0)) and not torch.equal(maps(0), maps(1))


def test_auto_layers_names_the_last_layers():
    assert auto_layers(make_backbone("wafer_resnet", 3), 64) == ("stage2", "stage3")
    assert auto_layers(make_backbone("efficientnet_b0", 3), 64) == ("blocks0", "blocks1")


def test_activation_map_errors_name_the_remedy():
    net, images = net_and_images("wafer_resnet")
    with pytest.raises(ValueError, match="no layer 'layer4'; its layers are stem, stage1"):
        activation_maps(net, images, ["layer4"])
    with pytest.raises(ValueError, match="Unknown CAM method 'cam'; choose one of gradcam"):
        activation_maps(net, images, ["stage4"], method="cam")
    with pytest.raises(ValueError, match="1 x 1 grid"):
        activation_maps(net, images[..., :8, :8], ["stage4"])
    with pytest.raises(ValueError, match="tokens"):
        activation_maps(make_backbone("test_vit", 3), torch.rand(1, 3, 160, 160), ["features"])


def test_evidence_maps_have_a_cell_per_pixel():
    net = make_backbone("wafer_unet", 3, width=4).eval()
    x = torch.rand(2, 5, 48, 48)
    result = evidence_maps(inference_net(net, 48), x)
    assert result.evidence.shape == (2, 3, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(result.logits, net(x), atol=1e-4, rtol=1e-4)


def test_batches_hold_the_pixels_of_the_smallest_size():
    clf = copy(fitted_classifier("wafer_resnet")).set_params(input_size=(16, 32, 80))
    maps = some_maps([(10, 10)] * 9 + [(30, 20)] * 9 + [(60, 60)] * 3)
    batches = [(codes.shape[-1], rows.tolist()) for rows, codes in clf.batches(maps, 8)]
    assert [(size, len(rows)) for size, rows in batches] == [
        (16, 8), (16, 1), *[(32, 2)] * 4, (32, 1), *[(80, 1)] * 3,
    ]  # fmt: skip
    assert sum((rows for _, rows in batches), []) == list(range(21))


def test_symmetric_evidence_turns_with_the_wafer():
    clf = copy(fitted_classifier("wafer_unet")).set_params(
        symmetric_prediction=True, precision="float32"
    )
    ((_, codes),) = clf.batches(some_maps([(20, 20)] * 3), 3)
    x = input_planes(codes)
    result = evidence_maps(clf.module_, x, symmetric=True)
    for index in range(8):
        turned = evidence_maps(clf.module_, symmetry(x, index), symmetric=True)
        torch.testing.assert_close(turned.evidence, symmetry(result.evidence, index))
    plain = [
        undo_symmetry(evidence_maps(clf.module_, symmetry(x, i)).evidence, i) for i in range(8)
    ]
    torch.testing.assert_close(result.evidence, torch.stack(plain).mean(0))
    probabilities = clf.predict_proba(some_maps([(20, 20)] * 3))
    np.testing.assert_allclose(result.logits.softmax(1), probabilities, atol=1e-5)
