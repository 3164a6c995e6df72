"""How many threads torch works with."""

from __future__ import annotations

import os

__all__ = ["one_thread_unless_a_model_runs"]


def one_thread_unless_a_model_runs(backbone: str) -> None:
    """A step's tensors are small: waking a second thread for each costs more than it gains.

    A model's are not, and ``OMP_NUM_THREADS`` is the user's word.
    """
    if backbone in ("hash", "array") and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)
