"""What is to be told, on disk; who wakes the agent; what a job may say itself."""
