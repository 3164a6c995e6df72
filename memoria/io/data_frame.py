"""Tables of columns as data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from memoria.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas


def data_frame(columns: Mapping[str, Any]) -> pandas.DataFrame:
    """Named columns of one length as a data frame. Needs the extra ``viz``."""
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("a data frame", "viz") from None
    return pandas.DataFrame(dict(columns))
