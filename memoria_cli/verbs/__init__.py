"""The verbs, one module each: parse, call the library, hand the result to `memoria_cli.output`."""
