import inspect
from dataclasses import fields

import pytest
import torch

from dferlib import synthface
from dferlib.synthface import (
    ACTION_UNITS,
    AU_INDEX,
    EXPRESSIONS,
    au_vector,
    default_light,
    expression_aus,
    expression_blend,
    render,
    sample_identities,
    seeded_generator,
)
from dferlib.synthface.action_units import REQUIRED
from dferlib.synthface.facs_signs import AU_EFFECTS, measure
from dferlib.synthface.render import DEFAULT_CAMERA, from_display, to_display


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def rest(count: int) -> torch.Tensor:
    return torch.zeros(count, len(ACTION_UNITS), 2)


def mixed_batch(count: int = 8) -> tuple:
    """Faces in all expressions, turned, glancing and lit differently."""
    generator = seeded_generator("test batch")
    names = [EXPRESSIONS[i % len(EXPRESSIONS)] for i in range(count)]
    aus = torch.stack([expression_aus(name, 0.9, generator) for name in names])
    light = default_light(count)
    light.key.add_(0.3 * torch.randn(count, 3, generator=generator))
    options = {
        "pose": 0.2 * torch.randn(count, 3, generator=generator),
        "gaze": 0.02 * torch.randn(count, 2, generator=generator),
        "camera": torch.tensor([DEFAULT_CAMERA]).repeat(count, 1),
        "background": torch.rand(count, 3, 48, 48, generator=generator),
    }
    return sample_identities(count, 5), aus, light, options


# ---------------------------------------------------------------- identities and expressions


def test_identity_depends_on_seed_and_index_alone():
    many, late = sample_identities(6, 3), sample_identities(2, 3, start=4)
    for trait in fields(many):
        assert torch.equal(getattr(many, trait.name)[4:], getattr(late, trait.name)), trait.name
    assert len(many) == 6
    assert len(many.take(torch.tensor([2, 2, 0]))) == 3


def test_no_two_identities_are_alike():
    pools = [sample_identities(150, seed) for seed in (0, 1)]
    rows = [
        torch.cat([getattr(pool, t.name).reshape(150, -1) for t in fields(pool)], 1)
        for pool in pools
    ]
    distance = torch.cdist(torch.cat(rows), torch.cat(rows))
    distance.fill_diagonal_(float("inf"))
    assert distance.min() > 0.1


def test_skin_and_age_spread_widely():
    people = sample_identities(300, 0)
    brightness = people.skin.mean(1)
    assert brightness.quantile(0.1) < 0.32
    assert brightness.quantile(0.9) > 0.68
    assert 0.4 < people.age.mean() < 0.6
    assert people.age.std() > 0.25


def test_required_aus_are_always_there_and_intensity_scales():
    for name in EXPRESSIONS:
        for trial in range(20):
            full = expression_aus(name, 1.0, seeded_generator(name, trial))
            half = expression_aus(name, 0.5, seeded_generator(name, trial))
            assert full.shape == (len(ACTION_UNITS), 2)
            for au, strength in REQUIRED[name].items():
                least = 0.25 if au == 23 else 0.5  # parted lips loosen AU 23
                assert full[AU_INDEX[au]].amax() > least * strength, (name, au)
            free = full < 1.1  # the strongest are clamped
            assert torch.allclose(half[free], full[free] / 2)
    assert expression_aus("neutral", 1.0, seeded_generator(0)).abs().sum() == 0


def test_contempt_is_one_sided_and_on_either_side():
    aus = torch.stack([expression_aus("contempt", 1.0, seeded_generator(i)) for i in range(30)])
    strong = aus[:, AU_INDEX[14]].amax(1)
    weak = aus[:, AU_INDEX[14]].amin(1)
    assert (weak < 0.2 * strong).all()
    assert 0.2 < (aus[:, AU_INDEX[14], 0] > 0.5).float().mean() < 0.8


def test_blend_lies_between_its_expressions():
    happy = expression_blend("happiness", "surprise", 0.0, 1.0, seeded_generator(1))
    both = expression_blend("happiness", "surprise", 0.5, 1.0, seeded_generator(1))
    assert happy[AU_INDEX[2]].sum() == 0
    assert both[AU_INDEX[2]].min() > 0.2
    assert both[AU_INDEX[12]].min() > 0.2


def test_unknown_names_say_what_is_known():
    with pytest.raises(ValueError, match=r"'joy'.*happiness"):
        expression_aus("joy", 1.0, seeded_generator(0))
    with pytest.raises(ValueError, match=r"action unit 3 .*1, 2, 4"):
        au_vector({3: 1.0})
    with pytest.raises(ValueError, match=r"'best'.*fast, standard, fine"):
        render(sample_identities(1, 0), rest(1), size=16, quality="best")
    with pytest.raises(ValueError, match=r"aus must have shape \(2, 21, 2\), got \(1, 21, 2\)"):
        render(sample_identities(2, 0), rest(1), size=16)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        sample_identities(0, 0)
    with pytest.raises(ValueError, match=r"weight must lie in \[0, 1\], got 2"):
        expression_blend("fear", "anger", 2, 1.0, seeded_generator(0))


# ---------------------------------------------------------------- rendering


@pytest.mark.parametrize(("quality", "count"), [("fast", 8), ("standard", 3)])
def test_a_frame_is_the_same_alone_in_a_batch_and_on_two_threads(quality, count):
    people, aus, light, options = mixed_batch(count)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        batch = render(people, aus, size=48, light=light, quality=quality, truth=True, **options)
        torch.set_num_threads(2)
        again = render(people, aus, size=48, light=light, quality=quality, truth=True, **options)
        torch.set_num_threads(1)
        for i in range(len(people)):
            one = slice(i, i + 1)
            single = render(
                people.take(one),
                aus[one],
                size=48,
                light=light.take(one),
                quality=quality,
                truth=True,
                **{name: value[one] for name, value in options.items()},
            )
            for name in ("image", "landmarks", "mask"):
                assert torch.equal(getattr(single, name)[0], getattr(batch, name)[i]), name
    finally:
        torch.set_num_threads(threads)
    for name in ("image", "landmarks", "mask"):
        assert torch.equal(getattr(batch, name), getattr(again, name)), name


def test_rendered_shapes_and_ranges():
    people, aus, light, options = mixed_batch(3)
    shown = render(people, aus, size=48, light=light, quality="fast", truth=True, **options)
    assert shown.image.shape == (3, 3, 48, 48)
    assert shown.image.dtype == torch.float32
    assert 0 <= shown.image.min() < 0.2
    assert 0.5 < shown.image.max() <= 1
    assert shown.landmarks.shape == (3, 68, 2)
    assert shown.mask.shape == (3, 48, 48)
    assert 0 <= shown.mask.min() < shown.mask.max() <= 1
    plain = render(people, aus, size=48, light=light, quality="fast", **options)
    assert plain.landmarks is None
    assert plain.mask is None
    assert torch.equal(plain.image, shown.image)


def test_background_shows_unchanged_in_the_corner():
    people, aus, _, options = mixed_batch(4)
    camera = torch.tensor([[0.0, 0.4, 2.2]]).repeat(4, 1)
    shown = render(
        people, aus, size=48, camera=camera, quality="fast", background=options["background"]
    )
    # Supersampling averages neighbours, so that the corner is a smoothed background.
    smooth = to_display(from_display(torch.full((1, 1), 0.5)))
    assert torch.allclose(smooth, torch.full((1, 1), 0.5), atol=1e-5)
    difference = (shown.image - options["background"])[..., 1:5, 1:5].abs().mean()
    assert difference < 0.25
    grey = render(people, aus, size=48, camera=camera, quality="fast")
    assert torch.allclose(grey.image[..., :4, :4], torch.tensor(0.5), atol=1e-4)


@pytest.mark.parametrize("au", ACTION_UNITS)
def test_landmarks_move_as_facs_prescribes(au):
    people = sample_identities(20, 11)
    raised = au_vector({au: 1.0}).expand(20, -1, -1)
    before = measure(render(people, rest(20), size=32, quality="fast", truth=True).landmarks)
    after = measure(render(people, raised, size=32, quality="fast", truth=True).landmarks)
    for name, sign in AU_EFFECTS[au].items():
        moved = sign * (after[name] - before[name])
        assert (moved > 0.003).all(), (name, moved.min().item())


def test_one_sided_dimpler_moves_its_own_corner():
    people = sample_identities(4, 2)
    right_only = au_vector({14: (0.0, 1.0)}).expand(4, -1, -1)
    before = render(people, rest(4), size=64, quality="fast", truth=True).landmarks
    after = render(people, right_only, size=64, quality="fast", truth=True).landmarks
    shift = (after - before).norm(dim=-1)
    assert (shift[:, 54] > 1.0).all()
    assert (shift[:, 48] < 0.3).all()


def test_mask_is_empty_at_rest_and_covers_a_smiling_mouth():
    people = sample_identities(4, 8)
    calm = render(people, rest(4), size=64, quality="fast", truth=True)
    assert calm.mask.max() == 0
    smile = au_vector({12: 1.0}).expand(4, -1, -1)
    shown = render(people, smile, size=64, quality="fast", truth=True)
    for face in range(4):
        x, y = shown.landmarks[face, [48, 54]].round().long().unbind(-1)
        for px, py in zip(x.tolist(), y.tolist(), strict=True):
            assert shown.mask[face, py - 2 : py + 3, px - 2 : px + 3].max() > 0.5
    assert shown.mask[:, :16].mean() < 0.02, "a smile does not reach the forehead"


def test_gaze_moves_the_iris():
    people = sample_identities(6, 4)
    size = 128

    def darkness_of_eye(gaze: float) -> torch.Tensor:
        looking = torch.tensor([[gaze, 0.0]]).repeat(6, 1)
        shown = render(people, rest(6), size=size, gaze=looking, quality="standard", truth=True)
        middles = []
        for face in range(6):
            corners = shown.landmarks[face, 36:42]
            (x0, y0), (x1, y1) = corners.amin(0).long(), corners.amax(0).long() + 1
            eye = shown.image[face].mean(0)[y0:y1, x0:x1]
            dark = (eye.mean() - eye).clamp_min(0)
            columns = torch.arange(x0, x1).float()
            middles.append((dark.sum(0) * columns).sum() / dark.sum())
        return torch.stack(middles)

    shift = darkness_of_eye(0.04) - darkness_of_eye(-0.04)
    assert (shift > 0.8).all(), shift


def test_public_names_exist_and_are_documented():
    for name in synthface.__all__:
        value = getattr(synthface, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_renders_the_same_face():
    people, aus, light, options = mixed_batch(4)
    here = render(people, aus, size=48, light=light, truth=True, **options)
    there = render(
        people.to("cuda"),
        aus.cuda(),
        size=48,
        light=type(light)(**{f.name: getattr(light, f.name).cuda() for f in fields(light)}),
        truth=True,
        **{name: value.cuda() for name, value in options.items()},
    )
    assert (here.image - there.image.cpu()).abs().mean() < 2e-3
    assert (here.landmarks - there.landmarks.cpu()).abs().max() < 0.05
