"""Documents that are longer than a network can see, to be told apart."""
