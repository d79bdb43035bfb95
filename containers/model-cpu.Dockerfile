# SSL front-ends, training and scoring, on processors.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

# What compiles. The same lines in every image, so they are run once for all.
FROM ${BASE_IMAGE} AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY containers/build.lock /locks/
RUN python3 -m venv --without-pip /opt/venv && python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes --requirement /locks/build.lock

FROM builder AS code
WORKDIR /src
COPY LICENSE README.md pyproject.toml setup.py ./
COPY csrc csrc
COPY srctrace srctrace
RUN SRCTRACE_CUDA=0 /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --prefix /opt/srctrace /dist/*.whl

# What changes most comes last. Compiled Python is kept: an image is read-only where it runs.
FROM ${BASE_IMAGE}
RUN useradd --create-home srctrace && python3 -m venv --without-pip /opt/venv
COPY containers/model-cpu.lock /opt/
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps \
    --require-hashes --requirement /opt/model-cpu.lock
# PyTorch's build for processors is in an index of its own, and is another file: requirements.lock has no hash of it.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_VERSION=2.11.0
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps \
    --index-url ${TORCH_INDEX} torch==${TORCH_VERSION}
COPY --from=code /opt/srctrace /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
USER srctrace
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="srctrace: models, on processors" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="https://github.com/srctrace/srctrace" \
    org.opencontainers.image.licenses="MIT"
