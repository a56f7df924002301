"""The bench's own tasks, a file for each domain."""
