"""Will it still be running at 3 am? What can be known of a machine before a job is left on it."""
