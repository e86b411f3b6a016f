"""One picture of many crops, each with its name below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE, TEXT, GAP = 112, 30, 8  # pixels: side of a crop, height of its text, space between
COLUMNS = 6
LETTERS = 20  # of the built-in font that fit below a crop


def contact_sheet(crops: np.ndarray, captions: Sequence[str]) -> Image.Image:
    """Draw crops uint8 (N, S, S, 3) in rows of six, each above its caption of up to two lines.

    ValueError if there is no crop, or not one caption for each.
    """
    if not len(crops) or len(crops) != len(captions):
        raise ValueError(f"{len(crops)} crops and {len(captions)} captions: one for each is needed")
    columns = min(COLUMNS, len(crops))
    rows = -(-len(crops) // columns)
    wide, high = TILE + GAP, TILE + TEXT + GAP
    sheet = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    for place, (crop, caption) in enumerate(zip(crops, captions, strict=True)):
        x, y = GAP + place % columns * wide, GAP + place // columns * high
        sheet.paste(Image.fromarray(crop).resize((TILE, TILE), Image.Resampling.BILINEAR), (x, y))
        lines = textwrap.wrap(caption, LETTERS, break_long_words=True)[:2]
        draw.multiline_text((x, y + TILE + 2), "\n".join(lines), fill="black", font=font)
    return sheet
