"""The INTEGRATION argument of commands: the name of an integration, or a mapping file that ends in .yaml."""

from __future__ import annotations

from pathlib import Path

from relay.core.integration import Integration
from relay.errors import ConfigurationError, NotFoundError
from relay.mapping_files.folder import MappingFile, read_mapping, read_mappings
from relay.settings import load_settings, read_environment


def find_mapping(name: str) -> MappingFile:
    """Return the mapping file of an integration, usable or not. Raises NotFoundError if it does not exist."""
    if name.endswith(".yaml"):
        if not Path(name).is_file():
            raise NotFoundError(f"there is no mapping file {name}")
        return read_mapping(Path(name))
    files = {file.name: file for file in read_mappings(load_settings(read_environment()).mappings)}
    if name not in files:
        existing = f"existing integrations: {', '.join(files)}" if files else "there are no integrations"
        raise NotFoundError(f"there is no integration {name[:64]}; {existing}")
    return files[name]


def find_integration(name: str) -> Integration:
    """Return an integration whose mapping file has no faults.

    Raises:
        NotFoundError: it has no mapping file.
        ConfigurationError: its mapping file has faults.
    """
    file = find_mapping(name)
    if file.integration is None:
        raise ConfigurationError(file.formatted_faults())
    return file.integration
