"""The papers' schematic figures as tables for `diagrams.plot_schematic`.

Each function takes the texts of shapes by the name of the submodule that gave them, as
`cost.shape_texts(model, clip, NAMES)` returns them, NAMES being the paper's tuple here. Nothing is
drawn from a paper's image: blocks and their order are those of captions, text and equations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dferlib.figures.diagrams import JOIN, PLUS, SIGMOID, TIMES, block, table_of

Shapes = Mapping[str, str]

STCAM = (
    "inception_a.project",
    "inception_c",
    "head",
    "inception_a.attention.parts.0.mlp",  # 3D-CAM
    "inception_a.attention.parts.1.conv",  # STAM
)
CEFLNET = ("backbone", "sal", "lrl", "lrl.score", "eian", "head")
STT = ("backbone", "transformer.project", "transformer.blocks.0", "transformer", "head")
HACN = ("backbone", "frame_weights.theta", "place_weights.omega", "gru", "head")
ECNN_FSA = ("backbone", "fsa", "head")


def describe(blocks: pd.DataFrame) -> str:
    """Say in words what a table draws: which blocks the arrows of each come from."""
    spoken = {PLUS: "sum", TIMES: "product", SIGMOID: "sigmoid", JOIN: "concatenation"}
    plain = blocks["text"].replace({**spoken, r"$\cdots$": "..."})
    plain = plain.str.replace(r"\\,|[$\\{}]", "", regex=True).str.replace("\n", " ")
    text, kind, after = (
        dict(zip(blocks["name"], column, strict=True))
        for column in (plain, blocks["kind"], blocks["after"])
    )

    def origin(name: str) -> str:
        return origin(after[name]) if kind[name] == "joint" and after[name] else text[name]

    said = [
        f"{text[name]} after {' and '.join(map(origin, after[name].split()))}"
        for name in text
        if after[name] and kind[name] != "joint"
    ]
    return f"Block diagram: {'; '.join(said)}."


def stcam_1(shapes: Shapes) -> pd.DataFrame:
    """STCAM, Figure 1: the framework, of which one structure stands for all five."""
    return table_of(
        block("frames", "7 frames", 0, 0, "data", shape=shapes["input"]),
        block("dots", r"$\cdots$", 2.2, 0, "data", after="frames", wide=0.7),
        block("frame", "3D-Inception-ResNet with STCAM", 6.5, 0.35, "frame", wide=6.6, tall=3.1),
        block("fork", "", 3.5, 0, "joint", after="dots"),
        block("branch", "3D-Inception", 5.1, 0, after="fork", shape=shapes["inception_a.project"]),
        block("stcam", "STCAM", 7.5, 0, "own", after="branch", wide=1.6),
        block("rise", "", 3.5, 1.4, "joint", after="fork"),
        block("shortcut", "", 9.2, 1.4, "joint", after="rise"),
        block("sum", PLUS, 9.2, 0, "operator", after="stcam shortcut"),
        block("more", r"$\cdots$", 11.0, 0, "data", after="sum", wide=0.7),
        block("pool", "average\npooling", 13.3, 0, after="more", shape=shapes["inception_c"]),
        block("head", "2 FC,\nsoftmax", 16.2, 0, after="pool", shape=shapes["head"]),
        block("class", "expression", 18.6, 0, "data", after="head"),
    )


def stcam_3(shapes: Shapes) -> pd.DataFrame:
    """STCAM, Figure 3: 3D-CAM (Eq. 1 to 3)."""
    vector = shapes["inception_a.attention.parts.0.mlp"]
    mlp = "shared MLP\n$W_2\\,\\delta(W_1\\,\\cdot)$"
    return table_of(
        block("F", "$F$", 0, 0, "data", shape=shapes["inception_a.project"]),
        block("average", "3D average\npooling", 3.2, 1.0, after="F", shape=vector),
        block("max", "3D max\npooling", 3.2, -1.0, after="F", shape=vector),
        block("mlp", mlp, 6.4, 0, "own", after="average max", wide=2.3, tall=1.2),
        block("avg", "$M_{avg}$", 8.9, 1.0, "data", after="mlp", shape=vector),
        block("mx", "$M_{max}$", 8.9, -1.0, "data", after="mlp", shape=vector),
        block("sum", PLUS, 10.9, 0, "operator", after="avg mx"),
        block("sigmoid", SIGMOID, 12.2, 0, "operator", after="sum"),
        block("M", "$M^C$", 13.6, 0, "data", after="sigmoid", shape=vector, wide=0.8),
        *_weighed(0, 15.2, "M", "F", shapes["inception_a.project"], "$F'$"),
    )


def stcam_4(shapes: Shapes) -> pd.DataFrame:
    """STCAM, Figure 4: STAM (Eq. 4 to 6), in 3D-Inception-ResNet-A."""
    weights = shapes["inception_a.attention.parts.1.conv"]
    return table_of(
        block("F", "$F$", 0, 0, "data", shape=shapes["inception_a.project"]),
        block("average", "average over\nchannels", 3.2, 1.0, after="F", shape=weights),
        block("max", "max over\nchannels", 3.2, -1.0, after="F", shape=weights),
        block("join", JOIN, 5.7, 0, "operator", after="average max"),
        block("f", "3D convolution $f$\n3x7x7", 8.2, 0, "own", after="join", wide=2.6),
        block("sigmoid", SIGMOID, 10.6, 0, "operator", after="f"),
        block("M", "$M^{ST}$", 12.3, 0, "data", after="sigmoid", shape=weights, wide=0.9),
        *_weighed(0, 14.3, "M", "F", shapes["inception_a.project"], "$F'$"),
    )


def stcam_5(shapes: Shapes) -> pd.DataFrame:
    """STCAM, Figure 5: 3D-CAM, then STAM."""
    shape = shapes["inception_a.project"]
    return table_of(
        block("F", "$F$", 0, 0, "data", shape=shape),
        block("cam", "3D-CAM", 3.0, 0, "own", after="F"),
        *_weighed(0, 5.2, "cam", "F", shape, "$F'$"),
        block("stam", "STAM", 9.6, 0, "own", after="F-out"),
        *_weighed(7.0, 11.8, "stam", "F-out", shape, "$F''$", "second"),
    )


def _weighed(
    start: float, x: float, weights: str, features: str, shape: str, text: str, name: str = "F"
) -> list[dict[str, object]]:
    """The product of weights and the features they were made of, which come over the top."""
    return [
        block(f"{name}-up", "", start, 2.0, "joint", after=features),
        block(f"{name}-over", "", x, 2.0, "joint", after=f"{name}-up"),
        block(f"{name}-times", TIMES, x, 0, "operator", after=f"{weights} {name}-over"),
        block(f"{name}-out", text, x + 1.8, 0, "data", after=f"{name}-times", shape=shape),
    ]


def stt_2(shapes: Shapes) -> pd.DataFrame:
    """STT, Figure 2: frames, CNN, spatio-temporal transformer, compact loss."""
    tokens, each, read = (shapes[f"transformer{part}"] for part in (".project", ".blocks.0", ""))
    return table_of(
        block("frames", "frames", 0, 0, "data", shape=shapes["input"]),
        block("cnn", "ResNet-18", 2.8, 0, after="frames", shape=shapes["backbone"]),
        block("project", "1x1\nconvolution", 5.6, 0, after="cnn", shape=tokens),
        block("token", "class token,\npositions", 7.7, 1.7, "data", wide=1.8),
        block("sum", PLUS, 7.7, 0, "operator", after="project token"),
        block("frame", "N blocks", 12.5, 0, "frame", wide=8.2, tall=2.2),
        block("space", "spatial\nattention", 9.8, 0, "own", after="sum"),
        block("time", "temporal\nattention", 12.5, 0, "own", after="space", shape=each),
        block("mlp", "MLP", 15.2, 0, after="time"),
        block("read", "class token", 18.2, 0, "data", after="mlp", shape=read, wide=1.5),
        block("head", "FC", 20.6, 0, after="read", shape=shapes["head"], wide=1.2),
        block("loss", "compact loss", 23.1, 0, "own", after="head"),
    )


def hacn_1(shapes: Shapes) -> pd.DataFrame:
    """HACN, Figure 1: frames, ResNet-50, two attentions with their fusions, GRU."""
    second = "spatial attention\n$F^i_{weight2}$ of [$T^i$ : $g$]"
    return table_of(
        block("frames", "a frame of\neach part", 0, 0, "data", shape=shapes["input"], wide=2.0),
        block("cnn", "ResNet-50", 3.2, 0, after="frames", shape=shapes["backbone"]),
        block("T", "$T^i$", 5.6, 0, "data", after="cnn", wide=0.7),
        block("frame", "hybrid attention", 13.4, 0.6, "frame", wide=13.6, tall=3.6),
        block("alpha", "self-attention\n$F^i_{weight1}$", 7.9, 0, "own", after="T", wide=2.2),
        block("fuse1", "fusion\n$f_{att1}$, Eq. 3", 10.8, 0, after="alpha", wide=2.2),
        block("up", "", 5.6, 1.7, "joint", after="T"),
        block("over", "", 12.9, 1.7, "joint", after="up"),
        block("join", JOIN, 12.9, 0, "operator", after="fuse1 over"),
        block("beta", second, 14.95, 0, "own", after="join", wide=2.8),
        block("fuse2", "fusion\n$F^i_{att2}$, Eq. 6", 18.9, 0, after="beta", wide=2.2),
        block("gru", "GRU", 21.6, 0, after="fuse2", shape=shapes["gru"], wide=1.4),
        block("head", "FC, softmax", 24.2, 0, after="gru", shape=shapes["head"]),
    )


def hacn_2(shapes: Shapes) -> pd.DataFrame:
    """HACN, Figure 2: (a) self-attention, (b) spatial attention (Eq. 2 and 5)."""
    first, second = "(a) self-attention", "(b) spatial attention"
    one, place = shapes["frame_weights.theta"], shapes["place_weights.omega"]
    return table_of(
        block("T", "$T^i$", 0, 0, "data", panel=first, wide=0.8),
        block("theta", "FC $\\theta$", 2.4, 0, "own", after="T", panel=first, shape=one),
        block("sigmoid", SIGMOID, 4.5, 0, "operator", after="theta", panel=first),
        block("alpha", "$F^i_{weight1}$", 6.2, 0, "data", after="sigmoid", panel=first),
        block("F", "$F^i_{att1}$", 0, 0, "data", panel=second, wide=0.9),
        block("pool", "1x1 average\npooling", 2.6, 0, after="F", panel=second),
        block(
            "omega",
            "3x3 conv. $\\omega$",
            5.6,
            0,
            "own",
            after="pool",
            panel=second,
            shape=place,
            wide=2.4,
        ),
        block("sigmoid2", SIGMOID, 7.9, 0, "operator", after="omega", panel=second),
        block("beta", "$F^i_{weight2}$", 9.6, 0, "data", after="sigmoid2", panel=second),
    )


def ecnn_fsa_1(shapes: Shapes) -> pd.DataFrame:
    """ECNN-FSA, Figure 1: feature extraction, frame attention, regression."""
    each = f"{shapes['backbone']} a frame"
    return table_of(
        block("frames", "n frames", 0, 0, "data", shape=shapes["input"]),
        block("extraction", "feature extraction", 3.3, 0, "frame", wide=3.2, tall=2.2),
        block("cnn", "improved VGG-16", 3.3, 0, after="frames", shape=each, wide=2.5),
        block("X", "$X$", 5.8, 0, "data", after="cnn", wide=0.6),
        block("attention", "frame-level self-attention", 8.5, 0, "frame", wide=3.4, tall=2.2),
        block(
            "fsa",
            "$W_{sa}$, weighted\nmean",
            8.5,
            0,
            "own",
            after="X",
            shape=shapes["fsa"],
            wide=2.6,
        ),
        block("regression", "regression", 15.0, 0, "frame", wide=8.4, tall=2.2),
        block("norm", "layer norm,\nReLU", 12.2, 0, after="fsa"),
        block("dropout", "dropout", 14.8, 0, after="norm", wide=1.6),
        block("fc", "FC,\nsoftmax", 17.5, 0, after="dropout", shape=shapes["head"]),
    )


def ecnn_fsa_3(shapes: Shapes) -> pd.DataFrame:
    """ECNN-FSA, Figure 3: X* = softmax(s Q K^T) V."""
    rows_of = f"n x {shapes['backbone']}"
    rows = [block("X", "$X$", 0, 0, "data", wide=0.7, shape=rows_of)]
    for letter, y in (("q", 1.6), ("k", 0.0), ("v", -1.6)):
        text = f"${letter.upper()} = W_{letter}X$"
        rows.append(block(letter, text, 3.4, y, after="X", shape=rows_of))
    return table_of(
        *rows,
        block("product", "$QK^T$", 6.4, 0.8, after="q k", wide=1.5, shape="n x n"),
        block("s", "$s$", 8.3, 2.0, "data", wide=0.5),
        block("scale", TIMES, 8.3, 0.8, "operator", after="product s"),
        block("softmax", "softmax", 10.3, 0.8, "own", after="scale", wide=1.7, shape="n x n"),
        block("turn", "", 12.2, -1.6, "joint", after="v"),
        block("times", TIMES, 12.2, 0.8, "operator", after="softmax turn"),
        block("out", "$X^*$", 14.0, 0.8, "data", after="times", wide=0.8, shape=rows_of),
        block("mean", "mean over\nframes", 16.6, 0.8, after="out", shape=shapes["fsa"]),
    )


def ceflnet_1(shapes: Shapes) -> pd.DataFrame:
    """CEFLNet, Figure 1: (a) the network, (b) the encoder of one clip."""
    whole, clip = "(a) CEFLNet", "(b) CFE, for each clip"
    each, clips = f"{shapes['lrl']} a clip", f"n x {shapes['lrl']}"
    frames = f"K x {shapes['backbone']}"
    return table_of(
        block("video", "video:\nn clips", 0, 0, "data", shape=shapes["input"], panel=whole),
        block("cfe", "CFE", 3.0, 0, "own", after="video", shape=each, panel=whole),
        block("join", JOIN, 5.3, 0, "operator", after="cfe", panel=whole),
        block("V", "$V^f$", 6.8, 0, "data", after="join", wide=0.8, shape=clips, panel=whole),
        block("eian", "EIAN", 9.2, 0, "own", after="V", shape=shapes["eian"], panel=whole),
        block("head", "classifier", 12.0, 0, after="eian", shape=shapes["head"], panel=whole),
        block("frames", "K frames", 0, 0, "data", panel=clip, wide=1.6),
        block("cnn", "ResNet-18", 2.5, 0, after="frames", shape=frames, panel=clip),
        block("sal", "SAL", 5.2, 0, "own", after="cnn", shape=shapes["sal"], panel=clip, wide=1.6),
        block("lrl", "LRL", 7.8, 0, "own", after="sal", shape=shapes["lrl"], panel=clip, wide=1.6),
        block("R", "$R_i$", 9.7, 0, "data", after="lrl", wide=0.7, panel=clip),
    )


def ceflnet_lrl(shapes: Shapes) -> pd.DataFrame:
    """CEFLNet, inside Figure 1b: local-global relation learning (Eq. 2 and 3), as published."""
    return table_of(
        block("f", "frames $f_k$", 0, 1.0, "data", shape=f"K x {shapes['backbone']}"),
        block("g", "attended $f'_k$", 0, -1.0, "data", shape=shapes["sal"]),
        block("max", "max over\nframes", 2.9, -1.0, after="g", shape=shapes["backbone"]),
        block("join", JOIN, 5.2, 1.0, "operator", after="f max"),
        block("score", "FC $q^0$", 7.8, -0.6, "own", after="join", shape=shapes["lrl.score"]),
        block("sigmoid", SIGMOID, 10.0, -0.6, "operator", after="score"),
        block("w", "$w_k$", 11.5, -0.6, "data", after="sigmoid", wide=0.7),
        block("mean", "weighted mean\nover frames", 12.6, 1.0, after="join w", wide=2.5),
        block("q1", "FC $q^1$", 15.8, 1.0, "own", after="mean", shape=shapes["lrl"]),
        block("R", "$R_i$", 18.0, 1.0, "data", after="q1", wide=0.7),
    )


def ceflnet_3(shapes: Shapes, scores: Sequence[float]) -> pd.DataFrame:
    """CEFLNet, Figure 3: EIAN, shaded by the scores A of one video's clips (Eq. 5 to 8)."""
    highest = max(scores)
    shades, best = (
        [score / highest for score in scores],
        max(range(len(scores)), key=scores.__getitem__),
    )
    width = 0.45 * len(scores)
    first = 0.5 * width
    even, clips = [0.3] * len(scores), f"{len(scores)} x {shapes['lrl']}"
    middle, located = 1.5 * width + 6.6, f"clip {best + 1} is located: $P_e$ = argmax $A$"
    return table_of(
        block("V", "feature $V^f$", first, 0, "cells", values=even, wide=width, shape=clips),
        block("conv", "1-D convolution\n$W^T$", width + 1.9, 0, "own", after="V", wide=2.4),
        block("softmax", "softmax\nover clips", width + 4.9, 0, after="conv"),
        block(
            "A",
            "scores $A$; darker: more",
            middle,
            0,
            "cells",
            after="softmax",
            values=shades,
            wide=width,
        ),
        block("times", TIMES, 2 * width + 7.5, 0, "operator", after="A over"),
        block("edge", "", 0.03 * width, 0.3, "joint"),
        block("up", "", 0.03 * width, 1.7, "joint", after="edge"),
        block("over", "", 2 * width + 7.5, 1.7, "joint", after="up"),
        block(
            "M",
            "activation map $M_c$",
            2.5 * width + 8.5,
            0,
            "cells",
            after="times",
            values=shades,
            wide=width,
        ),
        block("max", "max over\nclips", 3 * width + 10.1, 0, after="M", shape=shapes["eian"]),
        block("P", located, middle, -1.7, "data", after="A", wide=3.4),
    )
