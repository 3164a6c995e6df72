"""How well a ranking of turns has found the evidence of a question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

RANKED: Final = 50  # turns that are looked at
_RECALL_AT: Final = (5, 10, 20, RANKED)
MEASURES: Final = (
    *(f"recall_at_{k}" for k in _RECALL_AT),
    *(f"all_at_{k}" for k in _RECALL_AT),
    "ndcg_at_10",
    "mrr",
)


def measures(ranked: Sequence[int], evidence: Sequence[int]) -> dict[str, float]:
    """Of one question.

    recall@k = share of the evidence among the first k; all@k: whether all of it is there;
    nDCG@10 = sum over evidence at rank r <= 10 of 1 / log2(r + 1), over the most it can be;
    MRR = 1 / rank of the first.

    Args:
        ranked: numbers of turns, the best first.
        evidence: numbers of the turns that answer, one at least.
    """
    places = {turn: place for place, turn in enumerate(ranked, 1)}
    ranks = sorted(places.get(turn, math.inf) for turn in evidence)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(10, len(ranks)) + 1))
    return {
        **{f"recall_at_{k}": sum(rank <= k for rank in ranks) / len(ranks) for k in _RECALL_AT},
        **{f"all_at_{k}": float(ranks[-1] <= k) for k in _RECALL_AT},
        "ndcg_at_10": sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10) / best,
        "mrr": 0.0 if ranks[0] == math.inf else 1 / ranks[0],
    }


def means(measured: Sequence[Mapping[str, float]], categories: Sequence[str]) -> dict[str, float]:
    """Means over questions, ``NAME@CATEGORY`` over one category, ``NAME_macro`` over categories."""
    found: dict[str, float] = {}
    for name in measured[0] if measured else ():
        of_category: dict[str, list[float]] = {}
        for one, category in zip(measured, categories, strict=True):
            of_category.setdefault(category, []).append(one[name])
        by_name = {key: math.fsum(of_category[key]) / len(of_category[key]) for key in of_category}
        found[name] = math.fsum(one[name] for one in measured) / len(measured)
        found[f"{name}_macro"] = math.fsum(by_name.values()) / len(by_name)
        found |= {f"{name}@{category}": by_name[category] for category in sorted(by_name)}
    return found
