"""Accelerators by name: what they compute, hold and cost.

TFLOP/s are the makers' figures for dense products of bfloat16 (float16 where there is no bfloat16) with float32
sums, without sparsity; memory is what the driver offers; links are what one device sends to its peers in one node.
Prices are list prices per device and hour on demand, as they stood in autumn 2025: good for an order of magnitude.
Whoever knows better gives a price.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from textmill.errors import UserError

if TYPE_CHECKING:
    import torch

PRICES_OF = "autumn 2025"


@dataclass(frozen=True)
class Accelerator:
    """One kind of device.

    Attributes:
        name: as users write it.
        tflops: dense 16-bit TFLOP/s.
        memory_gib: usable memory in GiB.
        link_gbs: GB/s that it sends to its peers inside a node.
        price: US dollars per hour.
        bf16: whether it computes in bfloat16.
    """

    name: str
    tflops: float
    memory_gib: float
    link_gbs: float
    price: float
    bf16: bool = True


ACCELERATORS = {
    one.name.lower(): one
    for one in (
        Accelerator("B200", 2250, 179.1, 900, 5.50),
        Accelerator("H200", 989, 139.8, 450, 3.50),
        Accelerator("H100", 989, 79.6, 450, 2.99),
        Accelerator("H100-PCIe", 756, 79.6, 64, 2.40),
        Accelerator("A100-80GB", 312, 79.3, 300, 1.80),
        Accelerator("A100-40GB", 312, 39.5, 300, 1.30),
        Accelerator("MI300X", 1307, 191.7, 448, 2.50),
        Accelerator("L40S", 362, 44.5, 32, 1.00),
        Accelerator("RTX-6000-Ada", 364, 47.5, 32, 0.80),
        Accelerator("A6000", 155, 47.5, 56, 0.60),
        Accelerator("L4", 121, 22.5, 32, 0.70),
        Accelerator("A10G", 70, 22.3, 32, 1.00),
        Accelerator("RTX-5090", 210, 31.4, 64, 0.60),
        Accelerator("RTX-4090", 165, 23.6, 32, 0.40),
        Accelerator("RTX-3090", 71, 23.7, 56, 0.25),
        Accelerator("V100", 125, 31.7, 150, 0.60, bf16=False),
        Accelerator("T4", 65, 14.6, 16, 0.35, bf16=False),
    )
}
"""By lower-case name."""

_OTHER_NAMES = {
    "a100": "a100-80gb",
    "h100-sxm": "h100",
    "4090": "rtx-4090",
    "3090": "rtx-3090",
    "5090": "rtx-5090",
}


@dataclass(frozen=True)
class Machine:
    """Some devices of one kind, in one node if there are at most eight.

    Attributes:
        count: devices.
        accelerator: their kind, with the price that counts.
    """

    count: int
    accelerator: Accelerator

    def __str__(self) -> str:
        return f"{self.count} x {self.accelerator.name}"


def peak_flops(device: torch.device) -> float | None:
    """Dense 16-bit operations per second of a CUDA device, the measure of MFU, if its kind is in the table."""
    if device.type != "cuda":
        return None
    import torch

    words = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower())
    # The longest name first: an H100-PCIe is no H100.
    names = sorted([*ACCELERATORS, *_OTHER_NAMES], key=len, reverse=True)
    found = next((name for name in names if re.search(rf"(^|-){name}(-|$)", words)), None)
    return None if found is None else find_accelerator(found).tflops * 1e12


def parse_machines(text: str | Sequence[str], price: float | None = None) -> list[Machine]:
    """Machines from ``8xH100,A100-40GB``; ``@`` gives a price: ``8xH100@2.10``.

    Args:
        text: the list, separated by commas or white space.
        price: per device and hour, for those that name none.

    Raises:
        UserError: no such accelerator, or no number of devices.

    >>> [str(machine) for machine in parse_machines("8xh100, a100@1.5")]
    ['8 x H100', '1 x A100-80GB']
    """
    written = text if isinstance(text, str) else ",".join(text)
    return [_machine(part, price) for part in re.split(r"[,;\s]+", written.strip()) if part]


def find_accelerator(name: str) -> Accelerator:
    """The accelerator of this name; dashes, underscores and spaces are equal, NVIDIA may stand before it.

    Raises:
        UserError: none is called so.
    """
    key = re.sub(r"^nvidia[-_ ]", "", re.sub(r"[_ ]+", "-", name.strip().lower()))
    key = _OTHER_NAMES.get(key, key)
    if key in ACCELERATORS:
        return ACCELERATORS[key]
    near = get_close_matches(key, [*ACCELERATORS, *_OTHER_NAMES], n=2, cutoff=0.5)
    raise UserError(
        "this accelerator is not in the table",
        expected="one of: " + ", ".join(one.name for one in ACCELERATORS.values()),
        found=name,
        hint=f"did you mean {' or '.join(near)}?" if near else "take the nearest one",
    )


def _machine(part: str, price: float | None) -> Machine:
    match = re.fullmatch(r"(?:(\d+)\s*[x*])?(.+?)(?:@([0-9.]+))?", part, re.IGNORECASE)
    assert match is not None  # any text of one character or more fits
    count = int(match[1] or 1)
    if count < 1:
        raise UserError("a machine needs devices", expected="8xH100", found=part)
    accelerator = find_accelerator(match[2])
    try:
        cost = float(match[3]) if match[3] else price
    except ValueError:
        raise UserError("this is no price", expected="8xH100@2.10, in dollars per hour", found=part) from None
    return Machine(count, accelerator if cost is None else replace(accelerator, price=cost))
