"""Language models that read one segment of a text after the other."""
