"""The living engrams of a store as columns, for pandas, Arrow and xarray."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from memoria.errors import MissingExtraError
from memoria.io.data_frame import data_frame
from memoria.store.attributes import Pending
from memoria.store.life import StepTable, fold
from memoria.store.memory_files import MemoryFiles
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import IntArray

if TYPE_CHECKING:
    import pandas
    import pyarrow
    import xarray

_TYPES: Final = np.array([kind.name.lower() for kind in EngramType])
_ABOUT: Final = "A memory's living engrams; times are UTC, lifespans and ages are steps."


def engram_columns(files: MemoryFiles, pending: Pending | None = None) -> dict[str, Any]:
    """Columns [N] of the living engrams, ascending by id: numpy arrays, lists of texts and meta.

    ``id``, ``lane``, ``type``, ``lifespan``, ``age``, ``fire_count``, ``pinned``, ``created_step``
    (from 1), ``created`` (when that step ended), ``time`` (its own), ``text``, ``source``,
    ``offset`` and ``meta``. Times are datetime64[ms] in UTC, NaT where there is none.
    """
    steps = StepTable.read(files)
    life = fold(files, files.config, steps, pending)
    stored = StoredTexts(files)
    places = stored.places(life.ids)
    ended = np.append(steps.times(), -1)[np.minimum(life.born, len(steps))]
    own = np.array([-1 if one is None else one for one in stored.times(life.ids)], np.int64)
    return {
        "id": life.ids,
        "lane": life.ids % life.lanes,
        "type": _TYPES[life.types],
        "lifespan": life.lifespan(),
        "age": life.step - life.born,
        "fire_count": life.fires,
        "pinned": life.pinned,
        "created_step": life.born + 1,
        "created": _dates(ended),
        "time": _dates(own),
        "text": stored.texts(life.ids),
        "source": [None if place is None else place[0] for place in places],
        "offset": [None if place is None else place[1] for place in places],
        "meta": stored.meta(life.ids),
    }


def to_pandas(files: MemoryFiles, pending: Pending | None = None) -> pandas.DataFrame:
    """`engram_columns` as a data frame with the id as its index. Needs the extra ``viz``."""
    return data_frame(engram_columns(files, pending)).set_index("id")


def to_arrow(
    files: MemoryFiles, pending: Pending | None = None, vectors: bool = False
) -> pyarrow.Table:
    """`engram_columns` as a table, ``meta`` as JSON; with the vectors. Needs ``parquet``."""
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("an Arrow table", "parquet") from None
    columns = engram_columns(files, pending)
    metas = [None if one is None else json.dumps(one) for one in columns["meta"]]
    made = {
        **{name: pa.array(values) for name, values in columns.items() if name not in _PLAIN},
        "offset": pa.array(columns["offset"], pa.int64()),
        "text": pa.array(columns["text"], pa.large_string()),
        "source": pa.array(columns["source"], pa.large_string()),
        "meta": pa.array(metas, pa.large_string()),
    }
    if vectors:
        rows = files.vectors(columns["id"])
        flat = pa.array(rows.reshape(-1))
        made["vector"] = pa.FixedSizeListArray.from_arrays(flat, files.config.hidden_dim)
    return pa.table(made)


_PLAIN: Final = ("offset", "text", "source", "meta")


def to_xarray(files: MemoryFiles, pending: Pending | None = None) -> xarray.Dataset:
    """Vectors [engram, dimension] with the other columns beside them. Needs ``xarray``."""
    try:
        import xarray
    except ImportError:
        raise MissingExtraError("an xarray dataset", "viz", "pip install xarray") from None
    columns = engram_columns(files, pending)
    ids: IntArray = columns.pop("id")
    along = {
        name: ("engram", values if isinstance(values, np.ndarray) else _objects(values))
        for name, values in columns.items()
    }
    return xarray.Dataset(
        {"vector": (("engram", "dimension"), files.vectors(ids)), **along},
        coords={"engram": ids},
        attrs={"about": _ABOUT, "backbone": files.config.backbone},
    )


def _objects(values: list[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def _dates(milliseconds: IntArray) -> np.ndarray[Any, np.dtype[Any]]:
    return np.where(milliseconds < 0, np.datetime64("NaT", "ms"), milliseconds.astype("M8[ms]"))
