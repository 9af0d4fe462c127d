"""The operations that the operator API, the console and the commands share."""
