# The built-in corpus and all preprocessing. No torch.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

# What compiles. The same lines in every image, so they are run once for all.
FROM ${BASE_IMAGE} AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY containers/build.lock /locks/
RUN python3 -m venv --without-pip /opt/venv && python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-deps --require-hashes --requirement /locks/build.lock

# pyworld is compiled, the other packages are fetched.
FROM builder AS packages
COPY containers/preprocess.lock /locks/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist \
    --require-hashes --requirement /locks/preprocess.lock \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index /dist/*.whl

FROM builder AS code
WORKDIR /src
COPY LICENSE README.md pyproject.toml setup.py ./
COPY csrc csrc
COPY srctrace srctrace
RUN SRCTRACE_CUDA=0 /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index --prefix /opt/srctrace /dist/*.whl

# What changes most comes last. Compiled Python is kept: an image is read-only where it runs.
FROM ${BASE_IMAGE}
RUN useradd --create-home srctrace
COPY --from=packages /opt/venv /opt/venv
COPY --from=code /opt/srctrace /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
USER srctrace
ARG VERSION
ARG REVISION
# espeak-ng is GPL-3.
LABEL org.opencontainers.image.title="srctrace: corpus and preprocessing" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="https://github.com/srctrace/srctrace" \
    org.opencontainers.image.licenses="MIT AND GPL-3.0-or-later"
