"""The net as it predicts: the same logits, made anew when the weights change, never left behind."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from small_models import TINY, fitted_classifier
from torch import nn

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.cam import GRADIENT_METHODS, activation_maps
from camdenoise.nets import _inference
from camdenoise.nets._backbones import Backbone, make_backbone, pooled_linear_head
from camdenoise.nets._encoding import encode_maps, one_hot
from camdenoise.nets._inference import inference_net, is_ambiguous, predict_net, takes_bfloat16


def with_running_statistics(net):
    """Give each norm something to do, as training would."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return net.eval()


def n_norms(net):
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def assert_same_logits(fast, net, size=64):
    images = torch.rand(3, 3, size, size)
    with torch.no_grad():
        expected = net(images)
        torch.testing.assert_close(
            fast(images) / expected.abs().max(), expected / expected.abs().max(), atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(
    "name", ["wafer_resnet", "resnet18", "vgg11_bn", "efficientnet_b0", "mobilenetv3_small_100"]
)
def test_inference_net_folds_every_norm_of_listed_nets(name):
    net = with_running_statistics(make_backbone(name, 4))
    state = {key: value.clone() for key, value in net.state_dict().items()}
    fast = inference_net(net, 64)
    assert n_norms(net) > 0 == n_norms(fast)
    assert fast.layer_names == net.layer_names
    assert_same_logits(fast, net)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert all(p.requires_grad for p in net.parameters())


# Norms before convolutions, branches that are added up, standardized weights, no norm, tokens.
@pytest.mark.parametrize(
    "name", ["resnetv2_18", "repvgg_a0", "test_nfnet", "test_convnext", "test_vit"]
)
def test_inference_net_keeps_logits_of_other_nets(name):
    net, size = with_running_statistics(make_backbone(name, 4)), 160 if name == "test_vit" else 64
    assert_same_logits(inference_net(net, size), net, size)


class Reads(nn.Module):
    """A convolution and a norm, used in a way that does not allow for folding."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.conv, self.norm = nn.Conv2d(3, 3, 3, 1, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        if self.how == "both the norm and the sum read the convolution":
            x = self.conv(x)
            return self.norm(x) + x
        if self.how == "the convolution is used twice":
            return self.norm(self.conv(self.conv(x)))
        if self.how == "the norm is used twice":
            return self.norm(self.norm(self.conv(x)))
        return self.norm(self.conv(x).relu())


@pytest.mark.parametrize(
    "how",
    [
        "both the norm and the sum read the convolution",
        "the convolution is used twice",
        "the norm is used twice",
        "something is between the two",
    ],
)
def test_inference_net_keeps_norms_it_cannot_fold(how):
    net = with_running_statistics(Backbone({"stage": Reads(how)}, pooled_linear_head(3, 2)))
    fast = inference_net(net, 16)
    assert n_norms(fast) == 1
    assert_same_logits(fast, net, 16)


def test_inference_net_keeps_norms_without_statistics():
    stage = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    net = Backbone({"stage": stage}, pooled_linear_head(4, 2)).eval()
    fast = inference_net(net, 16)
    assert n_norms(fast) == 1
    assert_same_logits(fast, net, 16)


@pytest.fixture
def net():
    return with_running_statistics(make_backbone("wafer_resnet", 3, width=4))


def load(net):
    net.load_state_dict({key: value * 2 for key, value in net.state_dict().items()})


def train(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()


def update_statistics(net):
    net.train()(torch.rand(2, 3, 32, 32))
    net.eval()


@pytest.mark.parametrize("change", [load, train, update_statistics])
def test_inference_net_is_cached_until_weights_change(net, change):
    first = inference_net(net, 32)
    assert inference_net(net, 32) is first
    change(net)
    assert inference_net(net, 32) is not first
    assert_same_logits(inference_net(net, 32), net, 32)
    assert inference_net(copy.deepcopy(net), 32) is not inference_net(net, 32)


def test_inference_net_is_freed_with_its_net():
    net = make_backbone("wafer_resnet", 3, width=4)
    fast = weakref.ref(inference_net(net, 32))
    del net
    gc.collect()
    assert fast() is None


def test_inference_net_works_under_inference_mode(net):
    with torch.inference_mode():
        fast = inference_net(net, 32)
    assert n_norms(fast) == 0
    activation_maps(fast, torch.rand(2, 3, 32, 32), ["stage2"])


def test_concurrent_threads_get_the_same_logits(net):
    images, found = torch.rand(2, 3, 32, 32), [None] * 8
    expected = predict_net(net, images, "float32").logits

    def ask(row):
        found[row] = predict_net(inference_net(net, 32), images, "float32").logits

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for values in found:
        torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("has_it", [True, False])
def test_auto_precision_uses_bfloat16_if_supported(net, has_it, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_it)
    assert takes_bfloat16(net, "auto") == has_it
    assert takes_bfloat16(net, "bfloat16") and not takes_bfloat16(net, "float32")
    depthwise = make_backbone("mobilenetv3_small_100", 3)
    assert not takes_bfloat16(depthwise, "auto") and takes_bfloat16(depthwise, "bfloat16")
    assert takes_bfloat16(net, "auto", "cpu") == has_it, "one probe for training and prediction"
    with pytest.raises(ValueError, match="precision must be one of auto, .*got 'float16'"):
        takes_bfloat16(net, "float16")


def stages_in_bfloat16(net):
    """Record, for each pass through the last stage, how many images it had in bfloat16."""
    seen = []

    def record(module, inputs, output):
        seen.append(len(output) if output.dtype == torch.bfloat16 else 0)

    list(net.stages.values())[-1].register_forward_hook(record)
    return seen


@pytest.mark.parametrize(("precision", "n_images"), [("float32", 0), ("bfloat16", 2)])
def test_only_the_stages_run_in_bfloat16(net, precision, n_images, monkeypatch):
    monkeypatch.setattr(_inference, "CLOSE", 0)
    seen, images = stages_in_bfloat16(net), torch.rand(2, 3, 32, 32)
    heads = []
    net.head.register_forward_hook(lambda module, inputs, output: heads.append(output.dtype))
    predict_net(net, images, precision)
    maps = activation_maps(net, images, ["stage2", "stage3"], precision=precision)
    assert seen == [n_images] * 2 and heads == [torch.float32] * 2
    assert {values.dtype for values in maps.layers.values()} == {torch.float32}


def test_is_ambiguous_compares_gap_with_logit_range():
    logits = torch.tensor([[0.0, 9.9, 10.0], [0.0, 9.7, 10.0], [9.9, 0.0, 9.8], [5.0, 5.0, 5.1]])
    assert is_ambiguous(logits).tolist() == [True, False, True, False]
    assert is_ambiguous(logits * 0.01).tolist() == [True, False, True, False]
    assert is_ambiguous(torch.zeros(2, 1)).tolist() == [False, False]


def test_ambiguous_classes_are_decided_in_float32(classifier, wafers, monkeypatch):
    net, images = classifier.module_, one_hot(encode_maps(wafers.maps[:16], classifier.input_size))
    best = predict_net(net, images, "float32").logits.sort(dim=1).values
    shares = ((best[:, -1] - best[:, -2]) / (best[:, -1] - best[:, 0])).sort().values
    middle = 4 + (shares[5:12] / shares[4:11]).argmax()  # the widest gap: none is at the edge
    monkeypatch.setattr(_inference, "CLOSE", shares[middle : middle + 2].mean())
    exact = activation_maps(net, images, ["stage3", "stage4"])
    rounded = activation_maps(net, images, ["stage3", "stage4"], precision="bfloat16")
    close = is_ambiguous(exact.logits)
    assert close.sum() == middle + 1 and torch.equal(close, is_ambiguous(rounded.logits))
    assert torch.equal(exact.targets, rounded.targets)
    pairs = [(rounded.layers[name], exact.layers[name]) for name in exact.layers]
    pairs += [(rounded.logits, exact.logits)]
    pairs += [(predict_net(net, images, "bfloat16").logits, exact.logits)]
    for ours, theirs in pairs:
        error = (ours - theirs).flatten(1).abs().amax(dim=1) / theirs.abs().max()
        assert error[close].max() < 1e-5 < error[~close].min()


def test_given_class_is_never_ambiguous(net):
    seen = stages_in_bfloat16(net)
    targets = torch.zeros(3, dtype=torch.int64)
    images = torch.rand(3, 3, 32, 32)
    activation_maps(net, images, ["stage2"], targets=targets, precision="bfloat16")
    assert seen == [3]


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_bfloat16_maps_are_near_float32_maps(method, classifier, wafers):
    net, images = classifier.module_, one_hot(encode_maps(wafers.maps[:8], classifier.input_size))
    one, other = (
        activation_maps(net, images, ["stage2", "stage4"], method=method, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    for name, exact in one.layers.items():
        assert exact.max() > 0
        # On average: where a unit is at the edge of its ReLU, rounding switches its gradient.
        assert (other.layers[name] - exact).abs().mean() < 0.005 * exact.max()
        assert not torch.equal(other.layers[name], exact)


def test_classifier_changed_in_place_uses_new_weights(wafers):
    clf = copy.deepcopy(fitted_classifier())
    denoiser = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps)
    assert len(set(clf.predict(wafers.maps))) == 3
    denoiser.transform(wafers.maps)
    with torch.no_grad():
        clf.module_.head[-1].bias[1] += 100
    assert set(clf.predict(wafers.maps)) == {"Edge-Ring"}
    assert {e.label for e in denoiser.explain(wafers.maps)} == {"Edge-Ring"}


def test_refitted_classifier_uses_its_new_net(wafers):
    clf = copy.deepcopy(fitted_classifier())
    denoiser = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps)
    denoiser.transform(wafers.maps)
    clf.fit(wafers.maps, np.roll(wafers.target, 7))
    fresh = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps)
    for a, b in zip(denoiser.explain(wafers.maps), fresh.explain(wafers.maps), strict=True):
        assert a.label == b.label
        np.testing.assert_array_equal(a.saliency, b.saliency)


def test_pickle_leaves_the_inference_net_out(wafers):
    clf = copy.deepcopy(fitted_classifier())
    denoiser = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps)
    before = len(pickle.dumps(denoiser))
    denoiser.transform(wafers.maps)
    clf.predict(wafers.maps)
    assert len(pickle.dumps(denoiser)) == before


def test_precision_changes_few_decisions(wafers):
    clf = fitted_classifier()
    exact, fast = (
        CamDenoiser(FrozenEstimator(copy.copy(clf).set_params(precision=precision))).fit(
            wafers.maps
        )
        for precision in ("float32", "bfloat16")
    )
    pairs = zip(exact.explain(wafers.maps), fast.explain(wafers.maps), strict=True)
    different = [(a.kept != b.kept).sum() for a, b in pairs]
    assert sum(different) < 0.002 * sum((grid > 0).sum() for grid in wafers.maps)
    with pytest.raises(ValueError, match="precision must be one of auto"):
        exact.estimator_.set_params(precision="float16").predict(wafers.maps)


def test_float32_prediction_equals_the_net(wafers):
    clf = WaferClassifier(**TINY, precision="float32").fit(wafers.maps, wafers.target)
    with torch.no_grad():
        expected = clf.module_(one_hot(encode_maps(wafers.maps, clf.input_size))).softmax(dim=1)
    np.testing.assert_allclose(clf.predict_proba(wafers.maps), expected, rtol=1e-5, atol=5e-6)
    rounded = clf.set_params(precision="bfloat16").predict_proba(wafers.maps)
    # Processors that emulate the type round in other places.
    np.testing.assert_allclose(rounded, expected, atol=0.1)
    assert np.abs(rounded - expected.numpy()).max() > 5e-6
