#!/usr/bin/env bash
# audit.sh [OPTION...]: ask for known holes in what .venv-wheel holds beside the package; options go to pip-audit: -s osv asks OSV, not PyPI.
# Fails where a hole is known, and where a package could not be asked about.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
list=$(mktemp)
trap 'rm -f "$list"' EXIT

.venv/bin/python -m pip --python .venv-wheel/bin/python freeze --exclude save-avs | sed 's/+.*//' >"$list"
echo "== audit: known holes in $(wc -l <"$list") packages"
.venv/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement "$list" "$@"
