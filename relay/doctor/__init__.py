"""`relay doctor`: checks everything that the relay needs, pushes nothing, and advises how to fix what fails."""
