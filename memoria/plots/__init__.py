"""Pictures of what `memoria.analysis` finds: .png and .svg by matplotlib, .html by plotly."""

from memoria.plots.drawing import PICTURES, draw, figure

__all__ = ["PICTURES", "draw", "figure"]
