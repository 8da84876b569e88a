# Two images from one file:
#   docker build --target gateway -t trilemma:0.1.0 .          serves remote variants: no inference library inside
#   docker build --target local   -t trilemma:0.1.0-local .    also builds and runs local variants
# The tag names one minor release of Python and one release of Debian; to hold builds to the very same bytes, say
# --build-arg PYTHON=python:3.11-slim-bookworm@sha256:… with the digest that your registry shows.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
# Another package index, where one is to be used: pip reads these from the environment.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/trilemma
# What we stand on changes less often than we do: a layer of its own, which a change of the code leaves alone.
COPY constraints.txt pyproject.toml README.md LICENSE ./
RUN mkdir gateway policies backends \
    && touch gateway/__init__.py policies/__init__.py backends/__init__.py \
    && /opt/trilemma/bin/pip install --constraint constraints.txt '.[postgres]'
COPY gateway gateway
COPY policies policies
COPY backends backends
RUN /opt/trilemma/bin/pip install --no-deps --force-reinstall . \
    && /opt/trilemma/bin/pip check \
    && /opt/trilemma/bin/pip uninstall --yes pip setuptools

FROM build AS build-local
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
RUN python -m pip --python /opt/trilemma/bin/python install --constraint constraints.txt '.[local,postgres]'

FROM ${PYTHON} AS base
RUN groupadd --gid 10001 trilemma \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin trilemma \
    && install --directory --owner 10001 --group 10001 /var/lib/trilemma
ENV PATH=/opt/trilemma/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /tmp
VOLUME /var/lib/trilemma
EXPOSE 8080
STOPSIGNAL SIGTERM
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
ENTRYPOINT ["trilemma"]
CMD ["--var", "/var/lib/trilemma", "serve", "--host", "0.0.0.0", "--port", "8080"]

FROM base AS local
COPY --from=build-local /opt/trilemma /opt/trilemma

# The last stage is what `docker build` makes when told no target.
FROM base AS gateway
COPY --from=build /opt/trilemma /opt/trilemma
