#!/usr/bin/env bash
# Check the files that a forge reads: workflows, issue forms, dependabot, CITATION.cff.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=.venv/bin
schema() { "$bin/check-jsonschema" --quiet --builtin-schema "vendor.$1" "${@:2}"; }

echo "== forge: schemas of workflows, forms and CITATION.cff; actionlint and audit of the workflows"
schema github-workflows .github/workflows/*.yml
schema github-issue-forms $(find .github/ISSUE_TEMPLATE -name '*.yml' ! -name config.yml)
schema github-issue-config .github/ISSUE_TEMPLATE/config.yml
schema dependabot .github/dependabot.yml
schema citation-file-format CITATION.cff
"$bin/zizmor" --offline --quiet .github
"$bin/actionlint"
