#!/bin/sh
# Make .venv, or bring it up to date with requirements.lock and pyproject.toml.
#
# `make` calls it before anything that needs the environment. It takes no address of any package
# registry from this project: pip's and uv's own configuration and variables decide.
# Packages that you added to .venv yourself stay.
set -eu
cd "$(dirname "$0")/.."

# Measured on Linux x86_64 with this lock and an empty cache: 206 wheels, 3.3 GB (CUDA 2.2, torch 0.5,
# triton 0.3); 6.6 GB in .venv, which shares its files with uv's cache where both lie on one disk.
# Measure again when torch changes its minor version (CONTRIBUTING.md says how).
DOWNLOAD_LINUX="3.3 GB"
DOWNLOAD_OTHER="0.5 GB"
NEEDED_LINUX_MIB=8000
NEEDED_OTHER_MIB=3000

say() { printf '%s\n' "$*"; }

fail() { # what, how to fix
  printf 'error: %s\n  fix: %s\n' "$1" "$2" >&2
  exit 2
}

new_enough() { # interpreter, modules it must have as well
  "$1" -c "import sys$2; sys.exit(not (3, 11) <= sys.version_info < (3, 15))" >/dev/null 2>&1
}

# The first interpreter that really runs (a version manager's shim may not), is new enough and can
# make environments; else the first that is new enough, for the message that names it.
find_python() {
  if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" "" ||
      fail "PYTHON=$PYTHON is no Python from 3.11 to 3.14 that runs" "unset PYTHON, or name another one"
    command -v "$PYTHON"
    return
  fi
  for modules in ", ensurepip, venv" ""; do
    for name in python3.13 python3.12 python3.11 python3.14 python3; do
      if new_enough "$name" "$modules"; then
        command -v "$name"
        return
      fi
    done
  done
  fail "no Python from 3.11 to 3.14 was found on PATH" \
    "Debian, Ubuntu: sudo apt install python3 python3-venv (3.11 or newer since Debian 12 and Ubuntu 24.04); elsewhere: make setup PYTHON=/path/to/python3"
}

make_venv() {
  python=$(find_python)
  say "Making .venv with $("$python" --version) ($python)"
  if new_enough "$python" ", ensurepip, venv"; then
    "$python" -m venv .venv
  elif command -v uv >/dev/null 2>&1; then
    uv venv --quiet --python "$python" .venv
  else
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python cannot make virtual environments: its ensurepip module is missing" \
      "Debian, Ubuntu: sudo apt install python$version-venv, then the same command again"
  fi
}

# uv reads neither pip.conf nor PIP_*: a machine set up for pip alone should need nothing more.
# The address may hold a password: it is handed on and never printed.
take_over_pip_settings() {
  if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    address=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$address" ]; then
      UV_DEFAULT_INDEX=$address
      export UV_DEFAULT_INDEX
    fi
  fi
  if [ -z "${SSL_CERT_FILE:-}" ] && [ -n "${PIP_CERT:-}" ]; then
    SSL_CERT_FILE=$PIP_CERT
    export SSL_CERT_FILE
  fi
}

# The lock's own uv, checked against the lock's hashes; one that is on PATH already does as well.
find_uv() {
  if [ -x .venv/bin/uv ]; then
    UV=.venv/bin/uv
  elif command -v uv >/dev/null 2>&1; then
    UV=uv
  else
    say "Putting uv, a fast installer, into .venv"
    only_uv=$(mktemp)
    awk '/^uv==/ { inside = 1 } inside { print } inside && !/\\$/ { exit }' requirements.lock >"$only_uv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
      --require-hashes -r "$only_uv" || {
      rm -f "$only_uv"
      fail "pip could not install uv" "see pip's lines above; is a package registry reachable from here?"
    }
    rm -f "$only_uv"
    UV=.venv/bin/uv
  fi
}

announce() {
  case $(uname -s) in
    Linux) download=$DOWNLOAD_LINUX needed=$NEEDED_LINUX_MIB ;;
    *) download=$DOWNLOAD_OTHER needed=$NEEDED_OTHER_MIB ;;
  esac
  # An empty .venv still has all of it to come: one that holds torch already has the large part.
  if [ -z "$(find .venv/lib -maxdepth 3 -type d -name torch 2>/dev/null)" ]; then
    free=$(df -Pm . | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$needed" ]; then
      fail "$free MiB are free here; the packages need about $needed MiB" "free some space, or clone onto a larger disk"
    fi
    say "Installing the packages of requirements.lock: about $download to download once (torch with CUDA is most of it);"
    say "later environments take them from uv's cache. To stop here, press Ctrl-C."
  else
    say "Bringing .venv up to date with requirements.lock"
  fi
}

if [ -e .venv ]; then
  .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 ||
    fail "the .venv here does not run, or its Python is older than 3.11" "remove it (rm -r .venv), then the same command again"
else
  make_venv
fi
take_over_pip_settings
announce
find_uv
"$UV" pip install --python .venv/bin/python --require-hashes -r requirements.lock
# The build tools are in the lock: nothing is fetched beside it.
"$UV" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
touch .venv/.up-to-date
