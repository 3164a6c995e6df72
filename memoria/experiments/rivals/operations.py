"""What learning from a segment costs a network, and how many steps cost as much as a plain one's.

Counted are the multiplications and additions of matrix products, forward and backward, as torch
counts them: the same on every machine. Left out are additions of vectors, norms, softmax, the
optimiser, and the search of a memory, which multiplies nothing.
"""

from __future__ import annotations

from typing import Final

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.segment_model import SegmentModel
from memoria.experiments.seeding import seeded

_SEGMENTS: Final = 12  # by then most memories hold as much as they may


def segment_operations(model: SegmentModel) -> int:
    """Operations of learning from one segment of one lane, once the memory is filled.

    Args:
        model: on the CPU; it is read into and gets gradients.
    """
    config = model.config
    counter, generator = FlopCounterMode(display=False), torch.Generator().manual_seed(0)
    size = (_SEGMENTS, 1, config.segment)
    parts = torch.randint(config.vocab_size, size, generator=generator)
    with seeded(0):  # of dropout
        model.reset()
        with torch.no_grad():
            for part in parts[:-1]:
                model(part)
        # the fused kernels are not counted
        with sdpa_kernel(SDPBackend.MATH), counter:
            output = model(parts[-1])
            loss = functional.cross_entropy(output.logits.flatten(0, 1), parts[-1].flatten())
            (loss + output.extra_loss).backward()
    return counter.get_total_flops()


def steps_of_equal_compute(model: SegmentModel, steps: int, inner: int) -> int:
    """How many steps cost ``model`` as much as ``steps`` cost `none` of width ``inner``.

    At least 1. ``model`` is left as it is: fresh networks of its kind are counted.
    """
    plain = build_rival("none", model.config.replace(inner=inner, settings={}))
    with seeded(model.config.seed):
        fresh = type(model).build(model.config)
    return max(1, round(steps * segment_operations(plain) / segment_operations(fresh)))
