#!/usr/bin/env bash
# check.sh OUT_DIR: everything that only a GPU can show, in at most nine minutes, on a machine with nothing but bash, python3
# and the NVIDIA driver with cuDNN and cuBLASLt. Lies in the folder that pack.sh makes.
#
# Leaves OUT_DIR/report.md and report.json behind (also what is done so far, while it runs), with the output of what failed in
# failures.txt; goes on after a failure, and exits with 1 if anything failed.
#
#   DNN_CHECK_DEVICE=cpu    the CPU in place of the GPU, to try the program itself: few cases, no sanitizer
#   DNN_CHECK_SECONDS=540   the time that it may take
#   DNN_PACK=FOLDER         where the archive has been unpacked
set -euo pipefail
if [[ $# -ne 1 || $1 == -* ]]; then
  sed -n '2,/^set/{/^set/!s/^# \?//p}' "$0" >&2
  exit 2
fi
mkdir -p "$1"
started=$(date +%s)
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec python3 "$here/check.py" "$pack" "$1" "$started"
