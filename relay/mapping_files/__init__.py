"""Mapping files: from a YAML file to an `Integration`, with every fault and its line; kept current while the relay runs."""
