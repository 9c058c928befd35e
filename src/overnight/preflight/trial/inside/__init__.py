"""What a trial puts into the job: it leaves out repetitions and notes how long they would take.

Runs in the job's own Python: standard library only, Python 3.9 syntax, and harmless where a
library is absent or has changed: what cannot be hooked is noted and runs whole.

::

    begin    called by the sitecustomize of the trial, in every Python of the job
    clock    the time of the full run: what passed, and what was left out
    passes   one time through a loop: which turns are run, what the others would take
    source   loops found in the job's own code, by its syntax tree: numbers, DataLoader
    trainers loops inside libraries: Trainer, Keras, Lightning; and what must not be sent
    writes   puts aside what would be overwritten, where the kernel cannot
    main     runs the job's script as Python would
"""
