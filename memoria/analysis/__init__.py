"""What a memory's life shows, as numbers: one function for each kind of plot, none of which draws.

Torch-free: `Chronicle` is a life as arrays, `analyse` makes one of `KINDS` of it.
"""

from memoria.analysis.chronicle import Chronicle, open_chronicle
from memoria.analysis.kinds import KINDS, analyse
from memoria.analysis.result import Analysis

__all__ = ["KINDS", "Analysis", "Chronicle", "analyse", "open_chronicle"]
