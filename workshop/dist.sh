#!/bin/sh
# Build sdist and wheel, check them, and use the wheel as a stranger would: in an empty environment,
# on a script that knows nothing of Overnight. Says how many packages and MB the core brings.
set -eu
cd "$(dirname "$0")/.."
home=$PWD
MOST_PACKAGES=28 # docs/dependencies.md

rm -rf dist
.venv/bin/python -m build --no-isolation --outdir dist .
.venv/bin/twine check --strict dist/*

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
.venv/bin/uv venv --quiet --no-project --python .venv/bin/python "$scratch/venv"
# The lock's versions of what the wheel asks for, so that a build does not redden over a new release.
.venv/bin/uv pip install --quiet --python "$scratch/venv/bin/python" --constraint requirements.lock dist/*.whl

# Nothing of this checkout, its environment or the caller's settings is in reach from here.
cd "$scratch"
unset PYTHONPATH VIRTUAL_ENV OVERNIGHT_RUN_DIR
export XDG_STATE_HOME="$scratch/state" XDG_CONFIG_HOME="$scratch/config" OVERNIGHT_ROOT="$scratch/root" OVERNIGHT_LANG=en
mkdir root
cat >job.py <<'JOB'
for epoch in range(1, 4):
    print(f"Epoch {epoch}/3 loss {1 / epoch:.3f}", flush=True)
JOB
venv/bin/overnight --help >help.txt
venv/bin/overnight run job.py --name wheel
venv/bin/overnight wait wheel
venv/bin/overnight logs wheel >log.txt
for expected in "Epoch 3/3" "[EXIT] SUCCESS code=0"; do
  grep -qF "$expected" log.txt || {
    echo "error: the log of the wheel's run does not hold '$expected':" >&2
    cat log.txt >&2
    exit 1
  }
done

packages=$("$home/.venv/bin/uv" pip list --quiet --python venv/bin/python --format freeze | wc -l)
size_mib=$(du -sm venv/lib | cut -f1)
echo "The wheel runs. The core is $packages packages with itself, $size_mib MiB installed."
if [ "$packages" -gt "$MOST_PACKAGES" ]; then
  echo "error: more than $MOST_PACKAGES packages in the core; docs/dependencies.md says why that is the bound" >&2
  exit 1
fi
