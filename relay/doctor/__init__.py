"""`relay doctor`: looks at everything that the relay needs, pushes nothing, and says what to do about what is wrong."""
