"""Image models of `hf`: pictures from paths or memory, pooling over patches."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Final

import numpy as np

from memoria.backbones.base import Batch, Vectors
from memoria.backbones.pretrained import PooledBackbone, Settings
from memoria.errors import BackboneError, InputError, MissingExtraError, first_line

# By its content a file is what it likes: some formats would start a program, such as Ghostscript.
_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_MOST_GREY: Final = 2**16 - 1
_LIGHT: Final = 224  # mean of the visible pixels above which white behind them would hide them
_WHITE: Final = (255, 255, 255, 255)
_MOST_PIXELS: Final = 1 << 26  # 192 MiB as RGB


class HfImageBackbone(PooledBackbone):
    """v = pool(last hidden states of a picture), then v / ||v|| unless ``normalize`` is off.

    ``mean`` is over all positions, ``cls`` the first and ``last`` the last of them; ``none``
    gives every position its row. Items are paths or PIL images; they are turned as their camera
    says and read as RGB (`_as_rgb`), animations by their first frame.
    """

    _row = "patch, not per image"

    def __init__(self, name: str, settings: Settings, model: Any, processor: Any) -> None:
        self._processor = processor
        super().__init__(name, settings, model)
        self.dimension = int(self._forward([_pillow(name).new("RGB", (32, 32))]).shape[2])

    def encode_rows(self, batch: Batch) -> list[Vectors]:
        """For each picture its rows [n, D] float32: its positions with ``none``, else one."""
        results: list[Vectors] = []
        for start in range(0, len(batch), self._settings.batch_size):
            images = [
                self._opened(item) for item in batch[start : start + self._settings.batch_size]
            ]
            for states in self._forward(images):
                results.append(self._finish(self._pooled(states)))
        return results

    def _pooled(self, states: Vectors) -> Vectors:
        if self._settings.pooling == "mean":
            return np.asarray(states.mean(axis=0, keepdims=True), dtype=np.float32)
        return states if self._settings.pooling == "none" else self._end_of(states)

    def _forward(self, images: Sequence[Any]) -> Vectors:
        """Hidden states [N, positions, D]; maps [N, D, h, w] are flattened to that."""
        import torch

        weight = next(self._model.parameters())
        try:
            with torch.inference_mode():
                pixels = self._processor(images=list(images), return_tensors="pt")["pixel_values"]
                states = self._model(pixel_values=pixels.to(weight.device, weight.dtype))
                hidden = states.last_hidden_state.float()
                if hidden.ndim == 4:
                    hidden = hidden.flatten(2).transpose(1, 2)
                result: Vectors = hidden.cpu().numpy()
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise self._failure(f"{len(images)} images", error) from error
        return result

    def _opened(self, item: Any) -> Any:
        """The picture as RGB, upright. Raises `InputError` for a file that is none."""
        pillow = _pillow(self.name)
        from PIL import ImageOps

        if isinstance(item, pillow.Image):
            return _as_rgb(ImageOps.exif_transpose(item), "image")
        if not isinstance(item, (str, PathLike)):
            raise BackboneError(
                f"backbone {self.name!r} encodes images, and was given {type(item).__name__}",
                "give paths of image files",
            )
        try:
            with pillow.open(item, formats=_FORMATS) as image:
                if image.width * image.height > _MOST_PIXELS:
                    size = f"{image.width} x {image.height} pixels"
                    raise InputError(f"{item}: {size} are too many", f"at most {_MOST_PIXELS}")
                return _as_rgb(ImageOps.exif_transpose(image), item)
        except InputError:
            raise
        except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
            raise InputError(f"{item}: not a readable image: {first_line(error)}") from None


def _as_rgb(image: Any, name: Any) -> Any:
    """The picture as RGB of 8 bits, as it looks.

    Grey values of 16 bits are divided by 257. What is transparent shows white, or black where all
    that is not transparent is light.

    Raises:
        InputError: it has values of more than 16 bits, whose range nothing tells.
    """
    from PIL import Image

    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > _MOST_GREY:
            hint = "save it with 8 or 16 bits a channel"
            raise InputError(f"{name}: an image of the mode {image.mode!r}", hint)
        grey = np.rint(values.astype(np.float64) / 257).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image.convert("RGB")
    picture = image.convert("RGBA")
    pixels = np.asarray(picture, np.float64)
    alpha = pixels[..., 3]
    light = (pixels[..., :3].mean(axis=2) * alpha).sum() / max(1.0, float(alpha.sum()))
    behind = (0, 0, 0, 255) if light > _LIGHT and alpha.min(initial=255) < 255 else _WHITE
    ground = Image.new("RGBA", picture.size, behind)
    return Image.alpha_composite(ground, picture).convert("RGB")


def _pillow(name: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(f"backbone {name!r}", "hf") from None
    return Image
