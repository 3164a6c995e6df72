"""Figures of `memoria.analysis`: matplotlib for .png and .svg, plotly for .html (extra `viz`)."""
