"""What each endpoint takes and answers, one noun per file."""
