"""Starts a run: what was asked for becomes a folder, and the folder a running job.

Whatever can be known to fail is found out before anything starts, all of it at once.
"""

from overnight.start.begin import Started as Started
from overnight.start.begin import start as start
from overnight.start.check import Asked as Asked
from overnight.start.check import prepare as prepare
from overnight.start.check import with_dotenv as with_dotenv
from overnight.start.describe import git_commit as git_commit
from overnight.start.tell import with_terminal as with_terminal
from overnight.start.train import start_training as start_training
from overnight.start.wanted import Wanted as Wanted
