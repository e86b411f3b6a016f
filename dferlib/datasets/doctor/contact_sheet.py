"""One picture of many crops, each with its name below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE, TEXT, GAP = 112, 30, 8  # pixels: side of a crop, height of its text, space between
COLUMNS = 6
LINES = 2  # of text below a crop


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
        lines = _lines(caption, font)
        draw.multiline_text((x, y + TILE + 2), "\n".join(lines), fill="black", font=font)
    return sheet


def _lines(text: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """Text in lines no wider than a crop, the end of a text that is too long replaced by dots."""
    lines = []
    while text and len(lines) < LINES:
        fits = next(n for n in range(len(text), 0, -1) if font.getlength(text[:n]) <= TILE)
        lines.append(text[:fits])
        text = text[fits:].lstrip()
    if text:
        lines[-1] = f"{lines[-1][:-2]}\N{HORIZONTAL ELLIPSIS}"
    return lines
