#!/usr/bin/env bash
# check_resolution.sh lowest|newest [PYTHON]: install the package with the lowest or the newest versions that pyproject.toml allows
# into an empty environment, segment the bundled sample, and run quick tests. Needs uv.
set -euo pipefail

mode=$1 python=${2:-python3.11}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case $mode in
    lowest) resolution=lowest-direct ;;
    newest) resolution=highest ;;
    *) echo "usage: $0 lowest|newest [PYTHON]" >&2; exit 2 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=$work/venv

echo "== $mode: resolving and installing, Python ${python##*/}"
uv venv --quiet --python "$python" "$venv"
uv pip compile --quiet --python "$venv" --resolution "$resolution" --no-header --no-annotate \
    --extra train --extra serve --extra onnx --extra openvino --output-file "$work/packages.txt" pyproject.toml
uv pip install --quiet --python "$venv" --requirement "$work/packages.txt"
uv pip install --quiet --python "$venv" --no-deps --editable . ./packages/save-avs-models
uv pip install --quiet --python "$venv" pytest hypothesis soundfile httpx scipy faster-coco-eval --constraint "$work/packages.txt"
grep -E "^(av|numpy|pillow|pydantic|torch|typer|huggingface-hub|fastapi|onnx|openvino)==" "$work/packages.txt" | paste -sd' '

echo "== $mode: the sample"
"$venv/bin/save-avs" demo --output "$work/demo" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

echo "== $mode: tests"
OMP_NUM_THREADS=1 "$venv/bin/python" -m pytest -p no:cacheprovider -W default -m "not slow and not exhaustive" \
    tests/cli/test_program.py tests/inference tests/metrics tests/test_files.py tests/training/test_recipe.py \
    tests/video tests/weights/test_hub.py tests/weights/test_state_dict.py
