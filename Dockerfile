# docker build -t headrig .
#
# The shipped configuration listens on loopback, which nobody outside the container reaches. Without tokens no other
# address is allowed, so give both: a configuration with tokens (see config/headrig.yaml), and the address.
#
# docker run --read-only --tmpfs /tmp -v headrig:/var/lib/headrig -p 8080:8080 \
#     -v ./headrig.yaml:/etc/headrig/headrig.yaml:ro -e CHECKOUT_TOKEN -e HEADRIG__LISTEN=0.0.0.0:8080 headrig
#
# with, in headrig.yaml beside the rest:
#
#   tokens:
#     - {token: "env:CHECKOUT_TOKEN", tenant: shop}
#
# /etc/headrig holds the shipped configuration and rule packs. Other commands find them and the data too:
# docker run --rm headrig check; docker exec CONTAINER headrig verify log /var/lib/headrig/audit

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/headrig && /opt/headrig/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY sdk sdk
COPY pipeline pipeline
COPY processors processors
COPY .ci/unneeded.py ./
RUN /opt/headrig/bin/pip install --no-cache-dir --no-deps --no-build-isolation ./sdk . \
    && /opt/headrig/bin/python unneeded.py > unneeded.txt \
    && /opt/headrig/bin/pip uninstall --yes -r unneeded.txt

FROM python:3.11-slim-bookworm
ENV PATH=/opt/headrig/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HEADRIG__DATA=/var/lib/headrig
RUN useradd --system --uid 10001 --no-create-home headrig \
    && install -d -o headrig -g headrig -m 0700 /var/lib/headrig
COPY --from=build /opt/headrig /opt/headrig
COPY config /etc/headrig
USER headrig
WORKDIR /var/lib/headrig
VOLUME /var/lib/headrig
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, pathlib, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(pathlib.Path(os.environ['HEADRIG__DATA'], 'run/address').read_text().strip() + '/healthz', timeout=2)"]
ENTRYPOINT ["headrig"]
CMD ["serve"]
