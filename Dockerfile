# Two images: `bridge` (the default) and `tensorboard`, which is stock TensorBoard and nothing of ours. compose.yaml runs both.
#
#   docker build -t tbbridge .
#   docker run --init -p 127.0.0.1:6007:6007 -v tbbridge:/data tbbridge
#
# Packages are those of docker/*.lock, by version and hash (`make lock` writes them again). For a base image that never changes
# either, name yours by its digest: --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim

# --- what is installed, made here; nothing of this stage but /opt is in the images -----------------------------------------
FROM ${PYTHON_IMAGE} AS build
# pip's own settings, for who builds behind a mirror: docker build --build-arg PIP_INDEX_URL=... They end with this stage.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_DEFAULT_TIMEOUT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_PROGRESS_BAR=off PIP_ROOT_USER_ACTION=ignore
# No code is compiled here (--only-binary): what has no wheel for this platform fails, instead of needing a compiler.
ARG INSTALL="install --no-compile --require-hashes --only-binary :all:"
WORKDIR /src

COPY docker/tensorboard.lock docker/
RUN python3 -m venv --without-pip /opt/tensorboard \
 && pip --python /opt/tensorboard/bin/python ${INSTALL} -r docker/tensorboard.lock
COPY docker/bridge.lock docker/build.lock docker/
RUN python3 -m venv --without-pip /opt/tbbridge && python3 -m venv --without-pip /build \
 && pip --python /opt/tbbridge/bin/python ${INSTALL} -r docker/bridge.lock \
 && pip --python /build/bin/python ${INSTALL} -r docker/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /build/bin/python -m hatchling build --target wheel --directory /dist \
 && pip --python /opt/tbbridge/bin/python install --no-compile --no-deps --no-index /dist/*.whl
# Compiled once and for all: the images run with a file system that cannot be written. The hashes are never compared again.
RUN find /opt -depth -type d -name tests -path '*/site-packages/*' -exec rm -r {} + \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tensorboard/lib /opt/tbbridge/lib

# --- stock TensorBoard ----------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS tensorboard
LABEL org.opencontainers.image.title="TensorBoard" \
      org.opencontainers.image.description="Stock TensorBoard from PyPI, as tbbridge's compose.yaml runs it"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin tbbridge \
 && install -d -o tbbridge -g tbbridge /data /data/runs
COPY --from=build /opt/tensorboard /opt/tensorboard
ENV PATH=/opt/tensorboard/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
EXPOSE 6006
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:6006/data/environment', timeout=4).close()"]
ENTRYPOINT ["tensorboard"]
CMD ["--logdir=/data/runs", "--host=0.0.0.0", "--port=6006", "--reload_interval=1"]

# --- the bridge -----------------------------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS bridge
LABEL org.opencontainers.image.title="tbbridge" \
      org.opencontainers.image.description="Takes numbers, pictures, sound and text over HTTP for stock TensorBoard" \
      org.opencontainers.image.licenses="MIT"
# A number of its own, so that no user of the machine owns what the bridge writes; any other works too (--user).
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin tbbridge \
 && install -d -o tbbridge -g tbbridge /data /data/runs
COPY --from=build /opt/tbbridge /opt/tbbridge
ENV PATH=/opt/tbbridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TBBRIDGE_HOST=0.0.0.0 TBBRIDGE_LOGDIR=/data/runs
USER 10001:10001
VOLUME /data
EXPOSE 6007
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["tbbridge", "health"]
ENTRYPOINT ["tbbridge"]
CMD ["serve"]
