"""What operators see and do, for the operator API, the console and the commands alike."""
