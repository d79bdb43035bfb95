# Metrics, audit, figures and the report. No torch.
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
COPY containers/report.lock /opt/
RUN python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps \
    --require-hashes --requirement /opt/report.lock
COPY --from=code /opt/srctrace /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
USER srctrace
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="srctrace: report" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="https://github.com/srctrace/srctrace" \
    org.opencontainers.image.licenses="MIT"
