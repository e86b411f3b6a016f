"""Lesson 3: convolution in space and time."""

from __future__ import annotations

from dferlib.teaching.exercise import Exercise, Mistake

WEIGHTS = 64 * 3 * 3 * 7 * 7  # of a 3 x 7 x 7 kernel from 3 to 64 channels
PLACES = 7 * 112 * 112  # of its output for 7 frames of 224 x 224, at half the height and width
MIDDLE = 27 * 64 * 64 // (9 * 64 + 3 * 64)  # Tran et al. 2018, section 3.5


def out_size(n: int, kernel: int, stride: int, padding: int) -> int:
    """Return the length of a convolution's output along one axis."""
    return (n + 2 * padding - kernel) // stride + 1


EXERCISES = (
    Exercise(
        key="convolution.1",
        expected=WEIGHTS,
        mistakes=(
            Mistake(
                WEIGHTS + 64,
                "That counts 64 biases, too; this layer has none, since batch norm follows.",
            ),
            Mistake(
                64 * 3 * 7 * 7,
                "A factor of 3 is missing: the kernel is three frames deep, and it reads three "
                "colour channels.",
            ),
        ),
        hint="Outputs times inputs times the kernel's three sides.",
        well="28,224, three times those of the same layer for images.",
        tolerance=1e-6,
    ),
    Exercise(
        key="convolution.2",
        expected=PLACES * WEIGHTS,
        mistakes=(
            Mistake(
                4 * PLACES * WEIGHTS,
                "The stride of 2 leaves half the rows and half the "
                "columns: 112 x 112 places, not 224 x 224.",
            ),
            Mistake(
                2 * PLACES * WEIGHTS,
                "That counts FLOPs, multiplication and addition each. One MAC is both together.",
            ),
            Mistake(PLACES * WEIGHTS // 7, "That is one frame; the output has seven."),
        ),
        hint="Every place of the output (frames, rows, columns) costs as many MACs as the layer "
        "has weights.",
        well="2.48 GMACs for one layer with 28 thousand weights: few weights, used very often.",
        tolerance=1e-4,
    ),
    Exercise(
        key="convolution.3",
        expected=out_size,
        mistakes=(
            Mistake(
                lambda n, k, s, p: (n + 2 * p - k) // s,
                "One too few: a kernel that just fits has one place. Add 1.",
            ),
            Mistake(lambda n, k, s, p: (n + p - k) // s + 1, "Padding is added at both ends."),
            Mistake(
                lambda n, k, s, p: n // s,
                "That holds for some kernels only; try n = 7, "
                "kernel = 3, stride = 1 and padding = 0.",
            ),
        ),
        hint="How many steps of the stride can the kernel take within n + 2 padding?",
        well="The same rule for each axis, time included.",
        calls=((224, 7, 2, 3), (7, 3, 1, 1), (7, 3, 1, 0), (16, 3, 2, 1), (5, 5, 1, 0)),
    ),
    Exercise(
        key="convolution.4",
        expected=MIDDLE,
        mistakes=(
            Mistake(
                64,
                "With 64 in the middle the pair has fewer weights than the 3-D layer; how "
                "many channels use up the same number?",
            ),
            Mistake(
                192,
                "You divided by the 9 of the spatial part alone; the temporal part has "
                "3 x 64 weights a channel, too.",
            ),
        ),
        hint="27 x 64 x 64 on one side, M x (9 x 64 + 3 x 64) on the other.",
        well="144: as many weights, and a non-linearity more in between.",
        tolerance=1e-6,
    ),
)
