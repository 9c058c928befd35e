"""The process that follows runs and delivers messages: one per user and machine."""
