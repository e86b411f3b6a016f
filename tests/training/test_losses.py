"""Every loss equals its formula, written out as sums over clips and classes."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dferlib.training.losses import LOSSES, create_loss, other_log_probabilities

CLASSES, CLIPS, WIDTH = 7, 12, 5


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(CLIPS, CLASSES, generator=generator, dtype=torch.float64)
    target = torch.randint(CLASSES, (CLIPS,), generator=generator)
    features = torch.randn(CLIPS, WIDTH, generator=generator, dtype=torch.float64)
    return logits, target, features


def softmax(values: list[float]) -> list[float]:
    top = [math.exp(v - max(values)) for v in values]
    return [v / sum(top) for v in top]


def terms(logits: list[float], y: int) -> tuple[float, float, float, float]:
    """log p_y, then D(u'||p'), D(p'||u') and Eq. 19 as printed, for one clip."""
    others = softmax([value for c, value in enumerate(logits) if c != y])
    k = len(others)
    forward = sum(1 / k * math.log(1 / (k * p)) for p in others)
    backward = sum(p * math.log(k * p) for p in others)
    printed = sum(math.log(1 / (k * p)) for p in others)
    return math.log(softmax(logits)[y]), forward, backward, printed


# ------------------------------------------------------------------------------- cross entropies


def test_cross_entropy_is_torchs():
    assert create_loss("cross_entropy") is F.cross_entropy
    assert create_loss("cross_entropy", num_classes=7, feature_dim=512) is F.cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_smoothing_equals_both_lines_of_equation_16(smoothing):
    logits, target, _ = batch()
    second, third = 0.0, 0.0
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        p = softmax(row)
        log_sum = sum(math.log(value) for value in p)
        second += -(1 - smoothing) * math.log(p[y]) - smoothing / CLASSES * log_sum
        divergence = sum(1 / CLASSES * math.log(1 / CLASSES / value) for value in p)
        third += -(1 - smoothing) * math.log(p[y]) + smoothing * (divergence + math.log(CLASSES))
    value = create_loss("label_smoothing", smoothing=smoothing)(logits, target).item()
    assert value == pytest.approx(second / CLIPS, abs=1e-12)
    assert value == pytest.approx(third / CLIPS, abs=1e-12)


def test_a_smoothing_of_one_is_refused():
    with pytest.raises(ValueError, match="smoothing is 1"):
        create_loss("label_smoothing", smoothing=1)


# --------------------------------------------------------------------------------------- compact


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.5])
def test_compact_equals_equations_17_to_20_corrected(beta):
    logits, target, _ = batch()
    expected = 0.0
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        log_p, forward, backward, _ = terms(row, y)
        expected += -log_p + beta / 2 * (forward + backward)
    assert create_loss("compact", beta=beta)(logits, target).item() == pytest.approx(
        expected / CLIPS, abs=1e-12
    )


def test_both_directions_together_have_the_closed_form():
    logits, target, _ = batch()
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        _, forward, backward, _ = terms(row, y)
        others = softmax([value for c, value in enumerate(row) if c != y])
        closed = sum((p - 1 / len(others)) * math.log(p) for p in others)
        assert forward + backward == pytest.approx(closed, abs=1e-12)


def test_the_printed_loss_is_not_the_corrected_one():
    logits, target, _ = batch()
    printed, corrected = create_loss("compact_as_printed"), create_loss("compact")
    expected = 0.0
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        log_p, forward, _, other = terms(row, y)
        assert other == pytest.approx((CLASSES - 1) * forward)  # Eq. 19 is Eq. 18 again
        expected += log_p + 0.1 * (forward + other)
    assert printed(logits, target).item() == pytest.approx(expected / CLIPS, abs=1e-12)
    right, wrong = torch.zeros(1, CLASSES), torch.zeros(1, CLASSES)
    right[0, 0], wrong[0, 0] = 8.0, -8.0
    first = torch.zeros(1, dtype=torch.long)
    assert corrected(right, first) < corrected(wrong, first)
    assert printed(wrong, first) < printed(right, first)  # rewards being wrong


def test_compact_is_cross_entropy_where_the_others_are_equal():
    logits, target = torch.zeros(2, CLASSES), torch.tensor([0, 3])
    logits[0, 0], logits[1, 3] = 2.0, -1.0
    torch.testing.assert_close(
        create_loss("compact")(logits, target), F.cross_entropy(logits, target)
    )


def test_compact_pushes_the_other_logits_together():
    logits, target, _ = batch()
    logits.requires_grad_()
    regulariser = create_loss("compact", beta=1.0)(logits, target) - F.cross_entropy(logits, target)
    regulariser.backward()
    assert (logits.grad.gather(1, target[:, None]) == 0).all()  # the target is left alone
    for row, gradient, y in zip(logits.detach(), logits.grad, target.tolist(), strict=True):
        others = [c for c in range(CLASSES) if c != y]
        assert gradient[max(others, key=lambda c: row[c])] > 0
        assert gradient[min(others, key=lambda c: row[c])] < 0


def test_compact_stays_finite_for_sure_networks():
    logits = torch.tensor([[80.0, -80.0, 0.0], [-80.0, 80.0, 0.0]], requires_grad=True)
    loss = create_loss("compact")(logits, torch.tensor([0, 0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


def test_other_classes_keep_their_order():
    logits = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    expected = torch.stack([logits[0, [0, 2]], logits[1, [0, 1]]]).log_softmax(1)
    result = other_log_probabilities(logits, torch.tensor([1, 2]))
    torch.testing.assert_close(result, expected)


# ---------------------------------------------------------------------------------------- centre


def test_centre_loss_and_the_movement_of_the_centres():
    logits, target, features = batch()
    loss = create_loss("centre", num_classes=CLASSES, feature_dim=WIDTH, weight=0.5).double()
    start = torch.randn(CLASSES, WIDTH, dtype=torch.float64)
    loss.centres.copy_(start)
    total = 0.0
    for x, y in zip(features, target.tolist(), strict=True):
        total += sum((x[d] - start[y, d]).item() ** 2 for d in range(WIDTH))
    expected = F.cross_entropy(logits, target).item() + 0.5 / 2 * total / CLIPS
    assert loss(logits, target, features).item() == pytest.approx(expected, abs=1e-12)
    for c in range(CLASSES):
        mine = features[target == c]
        delta = sum((start[c] - x for x in mine), torch.zeros(WIDTH, dtype=torch.float64))
        torch.testing.assert_close(loss.centres[c], start[c] - 0.5 * delta / (1 + len(mine)))


def test_centres_rest_in_evaluation_and_are_in_the_checkpoint():
    logits, target, features = batch()
    loss = create_loss("centre", num_classes=CLASSES, feature_dim=WIDTH)
    loss.eval()(logits, target, features)
    assert not loss.centres.any()
    loss.train()(logits, target, features)
    assert loss.centres[target.unique()].any(1).all()
    twin = create_loss("centre", num_classes=CLASSES, feature_dim=WIDTH)
    twin.load_state_dict(loss.state_dict())
    assert torch.equal(twin.centres, loss.centres)
    assert not list(loss.parameters())  # nothing for the optimiser


def test_centre_loss_pulls_features_to_their_centre():
    logits, target, features = batch()
    features.requires_grad_()
    create_loss("centre", num_classes=CLASSES, feature_dim=WIDTH)(
        logits, target, features
    ).backward()
    torch.testing.assert_close(features.grad, 0.003 * features.detach() / CLIPS)  # centres at 0


# --------------------------------------------------------------------------------------- EC-STFL


def test_ec_stfl_equals_explicit_loops():
    logits, target, features = batch()
    features = features.float()
    total = 0.0
    for i in range(CLIPS):
        same = [j for j in range(CLIPS) if target[j] == target[i]]
        other = [j for j in range(CLIPS) if target[j] != target[i]]
        distance = [(features[i] - features[j]).abs().sum().item() for j in range(CLIPS)]
        attract = sum(distance[j] for j in same) / len(same)
        repel = sum(1 / (distance[j] + 1e-6) for j in other) / (len(other) + 1)
        total += attract * repel
    expected = F.cross_entropy(logits, target).item() + 10 * total / CLIPS**2
    value = create_loss("ec_stfl")(logits, target, features).item()
    assert value == pytest.approx(expected, rel=1e-5)


def test_ec_stfl_is_lower_for_clustered_features():
    logits, target, features = batch()
    means = 5 * torch.eye(CLASSES)[target]
    clustered = means + 0.1 * torch.cat([features, features[:, :2]], 1).float()
    scattered = clustered[torch.randperm(CLIPS, generator=torch.Generator().manual_seed(1))]
    loss = create_loss("ec_stfl")
    assert loss(logits, target, clustered) < loss(logits, target, scattered)


@pytest.mark.parametrize("target", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1]])
def test_ec_stfl_trains_on_any_batch(target):
    features = torch.randn(4, WIDTH, requires_grad=True)
    loss = create_loss("ec_stfl")(torch.zeros(4, CLASSES), torch.tensor(target), features)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(features.grad).all()


# -------------------------------------------------------------------------------------- registry


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_is_called_the_same_way_and_has_a_gradient(name):
    loss = create_loss(name, num_classes=CLASSES, feature_dim=WIDTH)
    logits, target, features = batch()
    logits.requires_grad_()
    extra = (features,) if getattr(loss, "needs_features", False) else ()
    value = loss(logits, target, *extra)
    value.backward()
    assert value.shape == ()
    assert logits.grad.any(1).all()


def test_which_losses_need_features():
    options = {"num_classes": CLASSES, "feature_dim": WIDTH}
    need = {n for n in LOSSES if getattr(create_loss(n, **options), "needs_features", False)}
    assert need == {"centre", "ec_stfl"}


def test_errors_name_the_way_out():
    with pytest.raises(ValueError, match=r"'hinge'.*centre, compact,"):
        create_loss("hinge")
    with pytest.raises(ValueError, match=r"num_classes and feature_dim"):
        create_loss("centre")
