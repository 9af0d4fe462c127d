"""The mapping that a command is given: an integration's name, or a file that ends in .yaml."""

from __future__ import annotations

from pathlib import Path

from relay.core.integration import Integration
from relay.errors import ConfigurationError, NotFoundError
from relay.mapping_files.folder import MappingFile, read_mapping, read_mappings
from relay.settings import load_settings, read_environment


def find_mapping(integration: str) -> MappingFile:
    """Return the file of a mapping, usable or not; NotFoundError where there is none."""
    if integration.endswith(".yaml"):
        if not Path(integration).is_file():
            raise NotFoundError(f"there is no mapping file {integration}")
        return read_mapping(Path(integration))
    files = {file.name: file for file in read_mappings(load_settings(read_environment()).mappings)}
    if integration not in files:
        raise NotFoundError(f"there is no integration {integration[:64]}: there is {', '.join(files) or 'none'}")
    return files[integration]


def find_integration(name: str) -> Integration:
    """Return an integration whose file is good.

    Raises:
        NotFoundError: there is none of that name.
        ConfigurationError: its file has faults.
    """
    file = find_mapping(name)
    if file.integration is None:
        raise ConfigurationError(file.formatted_faults())
    return file.integration
