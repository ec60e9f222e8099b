# docker build -t headrig .
# docker run --read-only --tmpfs /tmp -v headrig:/var/lib/headrig -v ./headrig.yaml:/etc/headrig/headrig.yaml:ro -p 8080:8080 headrig

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/headrig && /opt/headrig/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY sdk sdk
COPY pipeline pipeline
COPY processors processors
RUN /opt/headrig/bin/pip install --no-cache-dir --no-deps --no-build-isolation ./sdk . \
    && /opt/headrig/bin/pip uninstall --yes hypothesis import-linter mypy pytest pytest-asyncio python-logging-loki ruff

FROM python:3.11-slim-bookworm
ENV PATH=/opt/headrig/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home headrig \
    && install -d -o headrig -g headrig -m 0700 /var/lib/headrig
COPY --from=build /opt/headrig /opt/headrig
COPY config /etc/headrig
USER headrig
WORKDIR /var/lib/headrig
VOLUME /var/lib/headrig
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["headrig"]
CMD ["serve", "--config", "/etc/headrig/headrig.yaml", "--data", "/var/lib/headrig"]
