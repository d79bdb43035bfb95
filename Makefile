# Each target sets up what it needs. `make demo` is the default benchmark, `make test` the tests.

PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores all --nolock --rerun-incomplete --show-failed-logs

.PHONY: demo test test-docs test-paper test-hpc lint format clean
.DELETE_ON_ERROR:

demo: .venv/ready ## run config.yaml to results/report.html
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(SNAKEMAKE) && echo "The report is results/report.html, the numbers are results/metrics.tsv."

test: .venv/ready ## run the tests
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest

test-docs: .venv/ready ## run every command and program of the docs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m docs

test-paper: .venv/ready ## the paper's run at a tiny size, every protocol, on trees as MLAAD is released
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -m paper

test-hpc: .venv/ready ## the workflow in containers and on a Slurm cluster, for real: as root, on Debian
	tests/hpc/install
	SRCTRACE_HPC=1 PATH="$(CURDIR)/$(BIN):$$PATH:$(CURDIR)/build/apptainer/usr/bin" $(BIN)/pytest -m hpc --durations=10

lint: .venv/ready ## check style and the workflow's shape; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/clang-format --dry-run --Werror csrc/* tests/core/* tests/cuda_on_cpu/*.cc tests/cuda_on_cpu/*.h
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

format: .venv/ready ## put everything into the style that lint checks
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/snakefmt Snakefile workflow
	$(BIN)/clang-format -i csrc/* tests/core/* tests/cuda_on_cpu/*.cc tests/cuda_on_cpu/*.h

.PHONY: bench
bench: .venv/bench ## measure the preprocessing against other libraries; BENCHFLAGS=--quick for a look
	MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=1000000000 OMP_NUM_THREADS=1 \
		$(BIN)/python -m benchmarks.preprocess $(BENCHFLAGS)

# No dependencies: audiomentations asks for an older soxr than there is here, and what is measured of it does not use it.
.venv/bench: .venv/ready benchmarks/requirements.lock
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement benchmarks/requirements.lock
	touch $@

# The packages are exactly those of the lock file; the extension is built with the locked tools.
.venv/ready: requirements.lock pyproject.toml setup.py $(wildcard csrc/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "srctrace needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	rm -f srctrace/_cuda*.so  # it fits no other _C than its own
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Of the version that torch's libraries have. CUDA_HOME then is where the package put it.
.PHONY: cuda
cuda: .venv/ready ## build the GPU extension with a CUDA compiler from the package registry, where there is none
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement containers/nvcc.lock
	CUDA_HOME="$$($(BIN)/python -c 'import nvidia.cu13 as cuda; print(*cuda.__path__)')" SRCTRACE_CUDA=1 \
		$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .

.PHONY: docs
docs: .venv/ready ## write docs/config.md and docs/commands.md from the schema and the command line
	$(BIN)/python docs/generate.py

LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--upgrade --quiet

.PHONY: lock
lock: ## resolve pyproject.toml again into requirements.lock, and into those of benchmarks and containers
	$(BIN)/pip install --quiet uv
	$(LOCK) --extra builtin --extra export --extra serve --extra dev --output-file requirements.lock pyproject.toml
	$(LOCK) --extra bench --constraints requirements.lock --override benchmarks/overrides.txt \
		--output-file benchmarks/requirements.lock pyproject.toml
	for group in build nvcc preprocess model-cpu model-cuda report; do \
		$(LOCK) --group $$group --constraints requirements.lock --output-file containers/$$group.lock || exit; \
	done

.PHONY: containers
containers: ## build the container images; IMAGES="…" for some of them, and what else containers/build heeds
	containers/build $(IMAGES)

# The core under sanitizers, on every instruction set of this machine; and on those of 64-bit Arm, in an emulator.
CORE := $(filter-out csrc/bind%,$(wildcard csrc/*.cc))
CORE_ON_ARM := $(filter-out csrc/kernel_avx%,$(CORE))
CORE_HERE := $(if $(filter x86_64,$(shell uname -m)),$(CORE),$(CORE_ON_ARM))
CORE_FLAGS := -std=c++17 -O1 -g -fno-math-errno -fno-trapping-math -Wall -Wextra -Werror -Wno-psabi -pthread -Icsrc

.PHONY: sanitize test-arm
sanitize: build/sanitize/kernels ## run the C++ core under the address and undefined-behaviour sanitizers
	UBSAN_OPTIONS=print_stacktrace=1 $<

test-arm: build/arm/kernels ## run the C++ core on 64-bit Arm; needs g++-aarch64-linux-gnu and qemu-user
	qemu-aarch64 $< 20

build/sanitize/kernels: CORE_FLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all
build/sanitize/kernels: $(patsubst csrc/%.cc,build/sanitize/%.o,$(CORE_HERE)) tests/core/kernels.cc
	$(CXX) $(CORE_FLAGS) -o $@ $^

build/sanitize/%.o: csrc/%.cc $(wildcard csrc/*.h csrc/*.inc)
	@mkdir -p $(@D)
	$(CXX) $(CORE_FLAGS) $(FLAGS_$*) -c -o $@ $<

FLAGS_kernel_avx2 := -mavx2 -mfma
FLAGS_kernel_avx512 := -mavx512f -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512

build/arm/kernels: $(CORE_ON_ARM) tests/core/kernels.cc $(wildcard csrc/*.h csrc/*.inc)
	@mkdir -p $(@D)
	aarch64-linux-gnu-g++ $(CORE_FLAGS) -O3 -static -o $@ $(filter %.cc,$^)

clean: ## remove what runs have made, but not .venv
	rm -rf data/builtin results .snakemake
