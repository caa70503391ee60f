#!/usr/bin/env bash
# Holds the contract against an earlier one: `breaking.sh [REFERENCE]`, as `make proto-breaking` does.
#
# Left out, the reference is the branch main, or origin's; where that is what is checked out, the
# commit before it. It tells what it compares with, and where there is nothing to compare with.
set -euo pipefail
cd "$(dirname "$0")/../.."

commit() { git rev-parse --quiet --verify "$1^{commit}" 2>/dev/null; }

reference() {
  local head found
  head=$(commit HEAD) || return 1
  for name in main origin/main; do
    if found=$(commit "$name") && [ "$found" != "$head" ]; then
      echo "$name"
      return
    fi
  done
  commit HEAD~1 >/dev/null && echo HEAD~1
}

if [ -n "${1:-}" ]; then
  against=$1
  commit "$against" >/dev/null || { echo "proto-breaking: there is no commit $against here" >&2; exit 1; }
elif ! against=$(reference); then
  echo "proto-breaking: this checkout has no commit but its own: the contract is compared with nothing" >&2
  exit 0
fi
if ! git rev-parse --quiet --verify "$against:protos" >/dev/null; then
  echo "proto-breaking: $against has no contract yet" >&2
  exit 0
fi
echo "proto-breaking: compared with $against"
earlier=$(mktemp -d)
trap 'rm -rf "$earlier"' EXIT
git archive "$against" protos | tar -x -C "$earlier"

.venv/bin/buf breaking protos --against "$earlier/protos"
