#!/usr/bin/env bash
# wheel_environment.sh FOLDER: build both wheels into FOLDER, and install save-avs alone into .venv-wheel, with its dependencies.
# The environment is reused, with the wheel reinstalled, until this file, pyproject.toml or constraints.txt changes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv-wheel"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install=("$root/.venv/bin/python" -m pip --python "$venv/bin/python" install --quiet)

echo "== wheel: building it"
rm -f "$1"/save_avs-*.whl "$1"/save_avs_models-*.whl
for project in "$root" "$root/packages/save-avs-models"; do
    "$root/.venv/bin/python" -m build --wheel --outdir "$1" "$project" >"$log" 2>&1 ||
        { cat "$log" >&2; exit 1; }
done
wheel=("$1"/save_avs-*.whl)

key=$(cat "${BASH_SOURCE[0]}" "$root/pyproject.toml" "$root/constraints.txt" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/.key" 2>/dev/null)" = "$key" ]; then
    echo "== wheel: installing it into the environment of the last run"
    "${install[@]}" --force-reinstall --no-deps "${wheel[0]}"
else
    echo "== wheel: installing it into an empty environment (minutes the first time)"
    rm -rf "$venv"
    "$root/.venv/bin/python" -m venv --without-pip "$venv"
    "${install[@]}" --constraint "$root/constraints.txt" "${wheel[0]}"
    echo "$key" >"$venv/.key"
fi
