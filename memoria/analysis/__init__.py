"""What a memory's life shows, as numbers: one function for each kind of plot, none of which draws."""
