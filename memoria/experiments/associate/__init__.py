"""Associate: what belongs to what, told once in one segment and asked for several segments later."""
