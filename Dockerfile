# The app in one image: `docker compose up`, or `docker build . ` and `docker run`. Builds with buildah too.
# BASE is any image with Python 3.11 or newer and its venv module.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# One more package index for pip, such as the one with PyTorch's CPU builds.
ARG TORCH_INDEX=""

RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin dashapp \
    && mkdir --parents /data/cache /data/models /data/huggingface /data/numba \
    && chown --recursive dashapp:dashapp /data \
    && chmod --recursive 0700 /data

WORKDIR /app

# Packages before code, so that a change of code does not install torch again.
COPY pyproject.toml constraints.txt ./
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['scale'], sep='\n')" > /tmp/requirements.txt \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt \
        ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r /tmp/requirements.txt \
    && rm /tmp/requirements.txt

COPY README.md LICENSE THIRD_PARTY_NOTICES.md ./
COPY dashapp dashapp
COPY pages pages
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && rm -rf build ./*.egg-info

# The root may be read-only: everything that is written goes to /data, and what is thrown away to /tmp.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=passive \
    HOME=/data \
    TMPDIR=/tmp \
    HF_HOME=/data/huggingface \
    NUMBA_CACHE_DIR=/data/numba \
    DASHAPP_HOST=0.0.0.0 \
    DASHAPP_PORT=8050 \
    DASHAPP_CACHE_DIR=/data/cache \
    DASHAPP_MODELS_DIR=/data/models

USER 10001:10001
VOLUME /data
EXPOSE 8050

HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["/opt/venv/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/healthz', timeout=4)"]

# /tmp rather than /app: no source tree shadows the installed package.
WORKDIR /tmp
CMD ["/opt/venv/bin/python", "-m", "dashapp", "serve"]
