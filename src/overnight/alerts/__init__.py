"""When to tell somebody, and what: rules over a run's records, and the text of a message.

Standard library only, Python 3.9 syntax: the process that watches a job without a supervisor runs
on the job's own Python. YAML is read where a person's files are (settings), nowhere else.
"""
