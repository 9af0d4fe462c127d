"""What happens to a webhook until it is stored: accept, the intake journal, and the drainer that moves the journal into Redis."""
