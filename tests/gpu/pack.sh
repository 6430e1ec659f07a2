#!/usr/bin/env bash
# pack.sh [FOLDER]: builds for sm_90 (or CUDA_ARCH) and puts into FOLDER (build/gpu-pack) all that a bare GPU machine needs to
# run check.sh, train.sh and bench.sh: test binaries, programs, their shared libraries, MNIST, CIFAR-10, and PyTorch's side of
# training and benchmark (torch_cifar.py, torch_bench.py). At most 60 MiB.
#
# Such a machine has bash, python3 (for CIFAR-10 with numpy and pillow), glibc and libstdc++ no older than here, the NVIDIA
# driver, cuDNN 9 and cuBLASLt. MNIST comes from DNN_DATA_DIR/mnist, CIFAR-10 from the folder DNN_PACKED_DATA
# (../shared/data), which holds cifar10-jpeg.tar.xz and unpack.py: the publisher's files alone are larger than 60 MiB.
#
#   JOBS=2           processes that compile
#   DNN_NO_BUILD=1   packs what lies in build/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
limit=$((60 << 20))
folder=${1:-build/gpu-pack}
built=build/release
packed=${DNN_PACKED_DATA:-../shared/data}
programs=(examples/bench examples/dnn-doctor examples/mnist examples/train tests/benchmarks/dnn_benchmark tests/gpu/dnn_conv_plans)

if [[ ${DNN_NO_BUILD:-} != 1 ]]; then
  cmake --preset release -DDNN_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES="${CUDA_ARCH:-90}"
  cmake --build --preset release --parallel "${JOBS:-$(nproc)}" \
    --target bench dnn dnn_benchmark dnn_conv_plans dnn_cuda_test dnn_gpu_test dnn_ops_test doctor mnist train
fi

mapfile -t tests < <(python3 -B tests/gpu/cases.py $built)
[[ ${#tests[@]} -gt 0 ]]

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage"/{bin,lib,data,recipes}
for program in "${programs[@]}" "${tests[@]}"; do
  cp "$built/$program" "$stage/bin/"
done
# All shared libraries, except those that belong to the system's C and C++.
ldd "$stage"/bin/* | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -vE '/(ld-linux[^/]*|libc|libm|libdl|libpthread|librt|libstdc\+\+|libgcc_s)\.so[^/]*$' |
  while read -r library; do
    cp --dereference "$library" "$stage/lib/$(basename "$library")"
  done
strip --strip-all "$stage"/bin/*
strip --strip-unneeded "$stage"/lib/*
printf 'file(RPATH_SET FILE "%s" NEW_RPATH "$ORIGIN/../lib")\n' "$stage"/bin/* "$stage/lib/libdnn.so.0" > "$stage/rpath.cmake"
cmake -P "$stage/rpath.cmake" > /dev/null
rm "$stage/rpath.cmake"

cp examples/recipes/*.json "$stage/recipes/"
mnist=${DNN_DATA_DIR:-}/mnist
[[ -d $mnist ]] || mnist=$packed/mnist
mkdir "$stage/data/mnist"
for name in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
  if [[ -f $mnist/$name-ubyte.gz ]]; then
    cp "$mnist/$name-ubyte.gz" "$stage/data/mnist/"
  elif [[ -f $mnist/$name-ubyte ]]; then
    gzip -9 < "$mnist/$name-ubyte" > "$stage/data/mnist/$name-ubyte.gz"
  else
    echo "pack: $mnist/$name-ubyte is not there: set DNN_DATA_DIR" >&2
    exit 1
  fi
done
if [[ ! -f $packed/cifar10-jpeg.tar.xz || ! -f $packed/unpack.py ]]; then
  echo "pack: $packed has no cifar10-jpeg.tar.xz with unpack.py: set DNN_PACKED_DATA" >&2
  exit 1
fi
cp "$packed/cifar10-jpeg.tar.xz" "$packed/unpack.py" "$stage/data/"

commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[[ -z $(git status --porcelain --untracked-files=no 2>/dev/null) ]] || commit+=" with changes"
chmod -R u+w "$stage"
python3 - "$stage/manifest.json" "$commit" "${tests[@]##*/}" <<'PYTHON'
import json, sys
json.dump({"commit": sys.argv[2], "binaries": sys.argv[3:]}, open(sys.argv[1], "w"), indent=1)
PYTHON

mkdir -p "$folder"
rm -rf "${folder:?}"/*
tar --directory "$stage" --create . | xz --threads=0 -6 > "$folder/libdnn-gpu.tar.xz"
cp tests/gpu/{bench.sh,bench.py,check.sh,check.py,train.sh,environment.sh} examples/peers/torch_{bench,cifar}.py "$folder/"
size=$(du --bytes --summarize "$folder" | cut -f1)
echo "$folder: $((size >> 20)) MiB, commit $commit, ${tests[*]##*/}"
if ((size > limit)); then
  echo "pack: that is more than $((limit >> 20)) MiB. The largest files before compression:" >&2
  (cd "$stage" && find . -type f -printf '%s %p\n' | sort -rn | sed -n 1,12p) >&2
  exit 1
fi
