"""What is asked for: a config becomes a spec, with every mistake told at once and by its line.

Reading one imports pydantic and yaml, nothing heavier.
"""

from overnight.spec.read import read as read
from overnight.spec.schema import Output as Output
from overnight.spec.schema import Project as Project
from overnight.spec.schema import Spec as Spec
from overnight.spec.write import write as write
