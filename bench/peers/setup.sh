#!/bin/sh
# Makes build/peers-venv with the peers in it (PyTorch brings its CUDA libraries: 6 GB on disk).
# Does nothing if requirements.txt has not changed since. PYTHON names another interpreter.
set -eu
cd "$(dirname "$0")/../.."
venv=build/peers-venv
wanted=bench/peers/requirements.txt
if cmp -s "$wanted" "$venv/installed.txt"; then exit 0; fi
if ! "${PYTHON:-python3}" -m venv "$venv"; then
    echo "setup.sh: cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
    exit 3
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
cp "$wanted" "$venv/installed.txt"
