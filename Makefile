# The commands of a fresh machine, make train, make test and make bench, and a few for every day. They install what is missing
# (third_party/setup.sh), configure and build by the presets of CMakePresets.json into build/<preset>.

jobs := $(shell nproc)
nvcc := $(or $(shell command -v nvcc),$(wildcard /usr/local/cuda/bin/nvcc))
# One GPU architecture keeps the build short. Where there is nvcc, a build without the GPU backend is an error.
arch := $(or $(CUDA_ARCH),$(if $(shell nvidia-smi -L 2>/dev/null),native,90))
gpu := -DCMAKE_CUDA_ARCHITECTURES=$(arch) -DDNN_CUDA=$(if $(nvcc),ON,AUTO)

.DEFAULT_GOAL := help
.PHONY: help setup train test bench format clean

help:
	@echo 'make train    install what is missing, build, train LeNet-5 on MNIST on the best device'
	@echo 'make test     the same set-up, then every test: optimised, and under ASan and UBSan'
	@echo 'make bench    measure every reference network on every device: a table, build/bench/rows.jsonl and report.html'
	@echo 'make format   clang-format over all sources'
	@echo 'make clean    remove build/'
	@echo 'Variables: CUDA_ARCH=80 (the GPU architecture; that of this machine, else 90), DNN_DATA_DIR (the data sets), BENCH (options of make bench)'

setup:
	@third_party/setup.sh

train: setup
	cmake --preset release $(gpu)
	cmake --build --preset release --parallel $(jobs) --target mnist
	build/release/examples/mnist --model lenet5

test: setup
	cmake --preset release $(gpu)
	cmake --build --preset release --parallel $(jobs)
	ctest --preset release --parallel $(jobs)
	cmake --preset debug
	cmake --build --preset debug --parallel $(jobs)
	ctest --preset debug --parallel $(jobs)

bench: setup
	cmake --preset release $(gpu)
	cmake --build --preset release --parallel $(jobs) --target bench
	build/release/examples/bench --scaling 1,8,32,128,512 --json build/bench/rows.jsonl --report build/bench/report.html $(BENCH)

format:
	git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format -i

clean:
	rm -rf build
