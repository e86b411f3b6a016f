"""What is built once a person changes no bit; a window shows what cutting it out would show."""

import numpy as np
import pytest
import torch

from dferlib.datasets.faces.geometry import cut
from dferlib.synthface import au_vector, expression_aus, render, sample_identities, seeded_generator
from dferlib.synthface.action_units import EXPRESSIONS, OPTIONAL, REQUIRED
from dferlib.synthface.facs_signs import measure
from dferlib.synthface.fields import blur, bump
from dferlib.synthface.render import make_still

SIGNS = {  # what a picture shows, and the action units that draw it
    "lips apart": (25, 26, 27),
    "fold from nose to mouth": (9, 10, 12, 14, 15, 20),
    "lines across the forehead": (1, 2),
    "lines between the brows": (4,),
    "narrowed eyes": (6, 7),
    "wide eyes": (5,),
    "raised chin": (17,),
    "corners down": (15,),
    "raised cheeks": (6, 12),
}


@pytest.mark.parametrize("quality", ["fast", "standard"])
def test_still_parts_change_no_bit(quality):
    who = torch.tensor([0, 0, 1, 0, 1])
    people = sample_identities(2, 31)
    generator = seeded_generator("still")
    names = ("fear", "happiness", "surprise", "anger", "neutral")
    aus = torch.stack([expression_aus(name, 1.0, generator) for name in names])
    options = {"size": 40, "quality": quality, "truth": True}
    plain = render(people.take(who), aus, **options)
    shared = render(people.take(who), aus, still=make_still(people, quality).take(who), **options)
    for name in ("image", "landmarks", "mask"):
        assert torch.equal(getattr(plain, name), getattr(shared, name)), name


def test_a_window_shows_what_cutting_would():
    people, pose = sample_identities(2, 5), torch.tensor([[0.3, 0.1, 0.2]]).repeat(2, 1)
    aus = torch.stack([expression_aus("fear", 1.0, seeded_generator(k)) for k in range(2)])
    window = torch.tensor([[0.55, 0.5, 0.5, 0.2]]).repeat(2, 1)
    options = {"pose": pose, "quality": "standard", "truth": True}
    whole = render(people, aus, size=256, **options)
    part = render(people, aus, size=64, window=window, **options)
    for k in range(2):
        pixels = (whole.image[k] * 255).round().byte().permute(1, 2, 0).numpy()
        expected = cut(pixels, [*(window[k, :3] * 256).tolist(), float(window[k, 3])], 64)
        found = (part.image[k] * 255).permute(1, 2, 0).numpy()
        assert np.abs(found - expected).mean() < 3
    turn = torch.tensor(0.2)
    centred = whole.landmarks + 0.5 - window[:, None, :2] * 256
    across = turn.cos() * centred[..., 0] + turn.sin() * centred[..., 1]
    torch.testing.assert_close(part.landmarks[..., 0], across / 2 + 31.5, atol=0.02, rtol=0)


def test_blur_is_the_mean_of_neighbours():
    torch.manual_seed(0)
    image = torch.rand(1, 9, 9)
    found = blur(image, 2, passes=1)[0]
    assert found[4, 4] == pytest.approx(float(image[0, 2:7, 2:7].mean()), rel=1e-5)
    assert bump(torch.tensor([0.0, 1.0, 50.0]), 1.0).tolist() == pytest.approx(
        [1, 0.3679, 0], abs=1e-4
    )


def test_a_smile_is_as_wide_as_real_ones():
    """A mouth widens by about a third, closed or laughing, and cheeks narrow the eyes."""
    people = sample_identities(30, 12)
    options = {"size": 64, "quality": "fast", "truth": True}
    calm = measure(render(people, torch.zeros(30, 21, 2), **options).landmarks)
    for smile in ({6: 0.8, 12: 1.0}, {6: 0.8, 12: 1.0, 25: 1.0, 26: 0.35}):
        aus = au_vector(smile).expand(30, -1, -1)
        shown = measure(render(people, aus, **options).landmarks)
        wider = shown["mouth_width"] / calm["mouth_width"]
        assert 1.28 < wider.mean() < 1.45
        assert (shown["lower_lid_height"] > calm["lower_lid_height"]).all()


@pytest.mark.parametrize("sign", SIGNS)
def test_no_sign_is_one_class_s_alone(sign):
    shown = [e for e in EXPRESSIONS if {*REQUIRED[e], *OPTIONAL[e]} & set(SIGNS[sign])]
    assert len(shown) >= 2, shown


def test_parted_lips_are_not_pressed():
    drawn = torch.stack(
        [expression_aus("anger", 1.0, seeded_generator("lips", k)) for k in range(60)]
    )
    apart = drawn[:, [17, 18, 19]].amax(dim=(1, 2)) > 0  # AU 25, 26, 27
    assert 0.2 < apart.float().mean() < 0.7
    assert (drawn[apart, 16] == 0).all()  # AU 24
    assert (drawn[~apart, 16] > 0).all()
