#!/usr/bin/env bash
# train.sh RECIPE OUT_DIR: trains a network to the end on the GPU by one of the recipes of examples/recipes: resnet20, resnet56,
# plain20 and plain56 (CIFAR-10, as He et al.), lenet5 (MNIST), ... Lies in the folder that pack.sh makes, like check.sh.
#
# One call takes at most DNN_TRAIN_SECONDS (540) and leaves a checkpoint, log.csv, curves.svg and train.log in OUT_DIR; called
# again, it goes on from there. Exits with 0 when the training is complete, with 3 when it has to be called again.
#
#   DNN_CHECK_DEVICE=cpu    the CPU in place of the GPU
#   DNN_TRAIN_OPTIONS=...   options of the program train that have precedence over the recipe, --epochs 1, say
set -euo pipefail
if [[ $# -ne 2 || $1 == -* ]]; then
  sed -n '2,/^set/{/^set/!s/^# \?//p}' "$0" >&2
  exit 2
fi
deadline=$((SECONDS + ${DNN_TRAIN_SECONDS:-540}))
mkdir -p "$2"
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
if [[ ! -f $pack/recipes/$1.json ]]; then
  echo "train: there is no recipe $1, only: $(basename -s .json -a "$pack"/recipes/*.json | xargs)" >&2
  exit 2
fi
if [[ ! -d $pack/data/cifar-10-batches-bin && -f $pack/data/unpack.py ]] && grep -q cifar10 "$pack/recipes/$1.json"; then
  python3 "$pack/data/unpack.py" "$pack/data/unpacking"
  mv "$pack/data/unpacking/cifar-10-batches-bin" "$pack/data/"
  rm -rf "$pack/data/unpacking"
fi
export DNN_DATA_DIR=$pack/data
resume=()
[[ ! -f $2/last.safetensors ]] || resume=(--resume "$2/last.safetensors")
read -ra more <<< "${DNN_TRAIN_OPTIONS:-}"
status=0
# SIGINT ends it after the running step, with a checkpoint.
LD_LIBRARY_PATH=$DNN_LIBRARY_PATH timeout --signal=INT --kill-after=30 $((deadline - SECONDS)) \
  "$pack/bin/train" --recipe "$pack/recipes/$1.json" --device "${DNN_CHECK_DEVICE:-cuda}" --threads 4 --out "$2" \
  "${resume[@]}" "${more[@]}" 2>&1 | tee -a "$2/train.log" || status=$?
if [[ $status -eq 124 ]]; then
  echo "train: not complete, call it again"
  exit 3
fi
exit "$status"
