"""Will this job still run at 3 am? What can be known of it without running it.

::

    job ──► program ──► imports ──► the job's Python (one child)
             │  └ values, options      ├──► code (syntax, names, arguments, variables)
             ├──► files ──► disk (inputs, outputs)
             ├──► prompts
             └──► needs (GPU, memory, shared memory, disk, hub)        all ──► look ──► findings

Nothing of the script is run. ``values`` works out what its paths and options are worth, ``program``
which of its lines are reached; what neither can tell is said to be unknown.
"""

from overnight.preflight.target.findings import Finding as Finding
from overnight.preflight.target.job import Job as Job
from overnight.preflight.target.job import from_command as from_command
from overnight.preflight.target.look import look as look
