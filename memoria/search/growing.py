"""Arrays that grow at the end, and may be cut back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class GrowingArray:
    """An array [n, ...] with room behind it: appending copies each row about once."""

    def __init__(self, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> None:
        self._rows = np.empty((0, *row), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def values(self) -> npt.NDArray[Any]:
        """The rows there are, a view; it may be written to."""
        return self._rows[: self._count]

    def append(self, rows: npt.ArrayLike) -> None:
        """Put ``rows`` behind those there are."""
        new = np.asarray(rows, self._rows.dtype)
        count = self._count + len(new)
        if count > len(self._rows):
            self.reserve(max(count, 9 * len(self._rows) // 8))
        self._rows[self._count : count] = new
        self._count = count

    def reserve(self, count: int) -> None:
        """Make room for ``count`` rows in all, so that appending up to these copies nothing."""
        if count > len(self._rows):
            grown = np.empty((count, *self._rows.shape[1:]), self._rows.dtype)
            grown[: self._count] = self.values
            self._rows = grown

    def cut(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        self._count = min(self._count, count)
