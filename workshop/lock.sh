#!/bin/sh
# Resolve pyproject.toml into requirements.lock: the core, the train extra and the dev group.
#
# One lock for every platform and Python from 3.11 on, every file with its hash, no address of a
# registry in it. What is pinned stays pinned unless --upgrade (or --upgrade-package NAME) is given.
set -eu
cd "$(dirname "$0")/.."

# --fork-strategy fewest: one version of a package whatever the Python, so that two people with
# different Pythons look at the same numpy.
.venv/bin/uv pip compile pyproject.toml --extra train --group dev \
  --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
  --quiet --output-file requirements.lock "$@"
printf '%s packages in requirements.lock\n' "$(grep -c '==' requirements.lock)"
