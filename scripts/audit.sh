#!/usr/bin/env bash
# audit.sh [OPTION...]: check the dependencies in .venv-wheel for known vulnerabilities with pip-audit, which gets the options: -s osv queries OSV
# instead of PyPI. Fails if there is one, or if a package could not be checked.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
list=$(mktemp)
trap 'rm -f "$list"' EXIT

.venv/bin/python -m pip --python .venv-wheel/bin/python freeze --exclude save-avs | sed 's/+.*//' >"$list"
echo "== audit: known vulnerabilities of $(wc -l <"$list") packages"
.venv/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement "$list" "$@"
