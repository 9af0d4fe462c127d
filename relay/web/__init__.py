"""The HTTP side: the only room that knows Flask."""
