"""Timing ways of doing the same thing in turn, and what the machine was and did meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from dferlib.device import cores_taken, describe_device
from dferlib.evidence.provenance import provenance

SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices whose product is the limit


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    device: torch.device,
    seconds: float = 10.0,
    rounds: tuple[int, int] = (3, 15),
) -> dict[str, dict[str, float]]:
    """Seconds of each way: median, quartiles (`low`, `high`) and number of rounds.

    In a round every way has its turn, so that a machine that slows down slows all of them; the
    first round warms up and is not counted. Rounds go on for so many seconds, but no fewer and no
    more of them than `rounds` says.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    fewest, most = rounds
    begun = time.perf_counter()
    for turn in range(most + 1):
        if turn > fewest and time.perf_counter() - begun > seconds:
            break
        for name, way in ways.items():
            taken = time_once(way, device)
            if turn:
                times[name].append(taken)
    return {name: summary(values) for name, values in times.items()}


def time_once(way: Callable[[], object], device: torch.device) -> float:
    """Seconds until it is done, on the device too."""
    wait(device)
    started = time.perf_counter()
    way()
    wait(device)
    return time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def summary(values: list[float]) -> dict[str, float]:
    """Median and quartiles of seconds, and how many they are."""
    low, median, high = (float(f"{v:.4g}") for v in np.percentile(values, (25, 50, 75)))
    return {"median": median, "low": low, "high": high, "rounds": len(values)}


def product_rate(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """GMACs a second of the fastest of some large matrix products: what the device can do."""
    side = SIDE[device.type]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return side**3 / min(time_once(lambda: a @ b, device) for _ in range(6)) / 1e9


def load() -> dict[str, float]:
    """How busy the machine is: the mean of a minute, and cores that others take right now."""
    mean = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {"mean": round(mean, 2), "cores_taken_by_others": round(cores_taken(0.5), 2)}


def machine(device: torch.device) -> dict:
    """What measured: device, threads, and where the code comes from."""
    return {"device": describe_device(device), "provenance": provenance()}
