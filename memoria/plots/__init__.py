"""Pictures of what `memoria.analysis` finds: .png and .svg by matplotlib, .html by plotly."""

from memoria.plots.drawing import PICTURES, draw, figure
from memoria.plots.inline import Still, still

__all__ = ["PICTURES", "Still", "draw", "figure", "still"]
