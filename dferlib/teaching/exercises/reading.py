"""Lesson 7: reading a paper critically."""

from __future__ import annotations

from dferlib.evidence.audit import find_count
from dferlib.evidence.power import allowed_by
from dferlib.teaching.exercise import Exercise, Mistake


def printed(k: int, n: int) -> float:
    """Return k of n in per cent, rounded to two decimals."""
    return round(100 * k / n, 2)


EXERCISES = (
    Exercise(
        key="reading.1",
        expected=find_count(98.78, 327).correct,
        mistakes=(
            Mistake(322, "322 of 327 print as 98.47, the baseline's row."),
            Mistake(324, "324 of 327 print as 99.08, STCAM's row."),
            Mistake(323.01, "Clips are whole: round it."),
        ),
        hint="Multiply 98.78 by 327 and divide by a hundred; then round, and check the other way.",
        well="323 / 327 = 0.98777.",
        tolerance=1e-6,
    ),
    Exercise(
        key="reading.4",
        expected=2,
        mistakes=(
            Mistake(0.61, "Those are the points between the two rows. How many clips are they?"),
            Mistake(-2, "STCAM is the better one; count what it gained."),
        ),
        hint="Turn both rows into counts of 327 and subtract.",
        well="The whole gain of Table 2 is two sequences.",
        tolerance=1e-6,
    ),
    Exercise(
        key="reading.5",
        expected=allowed_by(322, 324, 327).p_low,
        mistakes=(
            Mistake(0.25, "That is one tail: the test is two-sided."),
            Mistake(0.05, "0.05 is the level, not the p-value.", kind="wrong"),
            Mistake(
                1,
                "That is the largest p that the two counts allow; the smallest is asked for.",
                kind="wrong",
            ),
        ),
        hint="At best for STCAM both differing clips speak for it: two fair coins, both the same.",
        well="Whatever the two models did on single clips, these counts cannot be significant.",
    ),
    Exercise(
        key="reading.2",
        expected=printed,
        mistakes=(
            Mistake(
                lambda k, n: round(k / n, 2),
                "That is a fraction with two decimals; per cent "
                "with two decimals has four digits of the fraction.",
            ),
            Mistake(
                lambda k, n: int(10_000 * k / n) / 100,
                "That cuts off; papers mostly round, "
                "and some do cut off, which the audit tries, too.",
            ),
            Mistake(lambda k, n: 100 * k / n, "Nearly the same: now round to two decimals."),
        ),
        hint="100 k / n, rounded to two decimals.",
        well="With this and a loop over k you have the audit's first check.",
        tolerance=1e-7,
        calls=((322, 327), (428, 480), (161, 208), (1, 3)),
    ),
    Exercise(
        key="reading.3",
        expected=find_count(98.46, 327) is not None,
        mistakes=(
            Mistake(
                True,
                "Try: 321 of 327 print as 98.17, 322 as 98.47. Is there one between?",
                kind="wrong",
            ),
            Mistake("no", "Right, as a truth value: False.", when=lambda a: str(a).lower() == "no"),
        ),
        hint="Hand in True or False: is there a whole k with k / 327 printed as 98.46?",
        well="No k of 327 prints as 98.46, and 320 of 325 does. That is a question to the authors "
        "(which clips?), and no proof of anything.",
    ),
)
