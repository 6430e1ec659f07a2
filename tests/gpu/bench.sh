#!/usr/bin/env bash
# bench.sh OUT_DIR PART: a part of the comparison with PyTorch on a GPU, in at most nine minutes, on a machine with nothing but bash,
# python3 (for PyTorch's side with torch) and the NVIDIA driver with cuDNN and cuBLASLt. Lies in the folder that pack.sh makes.
#
#   peer-eager, peer-graph, peer-compile, peer-compile-graph
#                   PyTorch alone: every workload, phase and precision in these modes (graph: one step and sixteen in a graph)
#   peer-kernels    PyTorch's kernels in a training step of ResNet-50: time and bytes of each (ncu; else torch.profiler, times alone)
#   ours            libdnn alone (eager, and each step as a graph), with what the GPU does at its best
#   pair            libdnn and PyTorch in its best mode of those measured, in turn, round by round
#   kernels         libdnn's kernels in a training step of ResNet-50 (ncu)
#   bandwidth       every family of libdnn's kernels on tensors of up to 1 GB, beside the measured bandwidth of a copy
#   plans           the time of every plan of cuDNN for the 23 convolutions of ResNet-50: bfloat16 and float16, three passes
#
# The parts of PyTorch need nothing of libdnn but torch_bench.py, bench.py and this script, and also run in the repository. A call
# goes on where the one before stopped, with the same OUT_DIR, and exits with 0 when the part is complete, 3 when it has to be called
# again, 1 when it is complete and something failed; what failed stands in OUT_DIR/failures.txt. The results are files of JSON
# lines, named after the GPU, for docs/benchmarks: h200-modes.jsonl (peer-...), h200-alone.jsonl (ours), h200-dnn.jsonl and
# h200-torch.jsonl (pair), h200-kernels-dnn.jsonl and h200-kernels-torch.jsonl, h200-bandwidth.jsonl, h200-plans.jsonl,
# h200-machine.jsonl (clocks, power and temperature before and after each call).
#
#   DNN_BENCH_SECONDS=540      the time that a call may take
#   DNN_BENCH_WORKLOADS=...    mlp,lenet5,lstm-rows,resnet20-cifar,alexnet2012,alexnet,resnet18,resnet50
#   DNN_BENCH_PRECISION=...    tf32,bf16,fp32
#   DNN_BENCH_PHASES=...       train,infer
#   DNN_BENCH_BATCH=0          the workloads' own; another one wants a name of its own (DNN_BENCH_NAME=h200-512)
#   DNN_BENCH_ROUNDS=5         of pair
#   DNN_BENCH_CASE=2           about how many seconds a case is timed
#   DNN_BENCH_NAME=h200        how the files begin
#   DNN_BENCH_DRY=1            prints the commands, and runs none
#   DNN_PACK=FOLDER            where the archive has been unpacked
set -euo pipefail
if [[ $# -ne 2 || $1 == -* ]]; then
  sed -n '2,/^set/{/^set/!s/^# \?//p}' "$0" >&2
  exit 2
fi
started=$(date +%s)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pack=
case $2 in
  ours | pair | kernels | bandwidth | plans) [[ -n ${DNN_BENCH_DRY:-} ]] || source "$here/environment.sh" ;;
esac
mkdir -p "$1"
exec python3 "$here/bench.py" "$1" "$2" "$started" "$pack"
