"""What people do, to lay over a memory's own curves.

Of PEERS, 126 people, 3,528 lists of 16 words recalled at once in any order: the chance that the
word to come next was studied so many words after the one before, where it could be (lag-CRP), the
mean over people. By psifr 0.10.1 of its data, as `memoria experiment run freerecall` has it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

LAG_CRP: Final = MappingProxyType(
    dict(
        zip(
            (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6),
            (0.053, 0.055, 0.065, 0.082, 0.108, 0.255, 0.433, 0.121, 0.093, 0.068, 0.066, 0.057),
            strict=True,
        )
    )
)
