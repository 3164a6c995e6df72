"""Associate: what belongs to what, told in one segment and asked for several segments later."""
