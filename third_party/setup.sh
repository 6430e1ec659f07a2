#!/usr/bin/env bash
# Installs the packages that the build, the tests and the downloads of data sets need, and those given as arguments, where
# they are missing (Debian, Ubuntu). As root or through sudo; without either it prints the one line to run and fails.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache                      # the build
  libfmt-dev libdnnl-dev zlib1g-dev nlohmann-json3-dev # the library
  libjpeg-dev libpng-dev libstb-dev                 # its images; libjpeg-dev is libjpeg-turbo
  libcli11-dev curl ca-certificates                 # the examples
  libgtest-dev libgmock-dev libbenchmark-dev libboost-context-dev # the tests
  "$@"
)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: this is not Debian; install what corresponds to: ${packages[*]}" >&2
  exit 0 # CMake names what it then still misses
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $(id -u) -eq 0 ]]; then
  as_root=(env)
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
  as_root=(sudo env) # asks for the password when there is somebody to ask
else
  echo "setup: packages are missing and this is neither root nor sudo. Run this as root, then try again:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
