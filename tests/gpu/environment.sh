# Read by bench.sh, check.sh and train.sh: unpacks the archive beside them on first use and finds the libraries. Sets `here`,
# `pack` and DNN_LIBRARY_PATH.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pack=${DNN_PACK:-$here/unpacked}
if [[ ! -f $pack/manifest.json ]]; then
  rm -rf "$pack.part"
  mkdir -p "$pack.part"
  python3 - "$here/libdnn-gpu.tar.xz" "$pack.part" <<'PYTHON'
import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2])
PYTHON
  mv "$pack.part" "$pack"
fi
# cuDNN and cuBLASLt lie in the toolkit's folder, or in the Python packages of NVIDIA.
wheels=$(python3 -c 'import glob, sys; print(":".join(d for p in sys.path for d in sorted(glob.glob(p + "/nvidia/*/lib"))))')
# Only for the programs of the pack: python3 shall not meet the older zlib or libjpeg of another system.
export DNN_LIBRARY_PATH=$pack/lib:/usr/local/cuda/lib64${wheels:+:$wheels}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PATH=${PATH:-/usr/bin:/bin}:/usr/local/cuda/bin
export OMP_WAIT_POLICY=passive
