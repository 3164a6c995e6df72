"""Engrams moving from memory to memory, as a .gif, .mp4 or .html (extra `viz`)."""

from memoria.animation.rendering import FORMS, FPS, MOST_FRAMES, SPEED, render

__all__ = ["FORMS", "FPS", "MOST_FRAMES", "SPEED", "render"]
