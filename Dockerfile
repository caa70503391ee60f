# One small target per service: docker build --target router .
#
# All of them stand on one layer of locked dependencies, so a machine pulls it once.
# Works with the classic builder too: no RUN --mount, no syntax line.

FROM python:3.11-slim AS dependencies
COPY locks/services.txt /locks/services.txt
# A venv without pip, filled from outside; then everything that only a developer reads goes.
# Bytecode is made here, once, because the root file system is read-only where it runs.
RUN python -m venv --without-pip /venv \
 && python -m pip --python /venv/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
      --only-binary :all: --require-hashes -r /locks/services.txt \
 && find /venv -depth \( -type d \( -name tests -o -name test -o -name testing -o -name include \) -path '*/site-packages/*' \
      -not -path '*/numpy/testing' -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' -o -name '*.a' \) \
      -exec rm -rf {} + \
 && python -m compileall -q -j 2 --invalidation-mode unchecked-hash /venv/lib

FROM dependencies AS code
COPY . /app
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM python:3.11-slim AS base
# Nothing is installed where it runs, so what installs is taken out of sight.
RUN rm -rf /usr/local/lib/python3.11/site-packages/pip* /usr/local/lib/python3.11/site-packages/setuptools* \
      /usr/local/lib/python3.11/site-packages/wheel* /usr/local/bin/pip* /usr/bin/pip* /usr/lib/python3/dist-packages/pip* \
 && groupadd --system --gid 10001 switchboard \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin switchboard \
 && install -d -o switchboard -g switchboard -m 0750 /var/lib/switchboard
COPY --from=dependencies /venv /venv
COPY --from=code /app/gen /app/gen
COPY --from=code /app/runtime /app/runtime
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app:/app/gen PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOG_FORMAT=json
WORKDIR /app
USER 10001:10001

FROM base AS edge
COPY --from=code /app/edge /app/edge
ENV EDGE_HOST=0.0.0.0 EDGE_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "runtime.healthcheck", "/healthz"]
CMD ["python", "-m", "runtime.boot", "edge"]

FROM base AS router
COPY --from=code /app/router_svc /app/router_svc
ENV LISTEN_ADDR=0.0.0.0:50051
EXPOSE 50051
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "runtime.healthcheck"]
CMD ["python", "-m", "runtime.boot", "router_svc"]

FROM base AS agent
COPY --from=code /app/agent_svc /app/agent_svc
ENV LISTEN_ADDR=0.0.0.0:50052
EXPOSE 50052
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "runtime.healthcheck"]
CMD ["python", "-m", "runtime.boot", "agent_svc"]

FROM base AS memory
COPY --from=code /app/memory_svc /app/memory_svc
# The erasure ledger: outside the database and its backups.
ENV LISTEN_ADDR=0.0.0.0:50053 ERASURE_LEDGER=/var/lib/switchboard/erasures
VOLUME /var/lib/switchboard
EXPOSE 50053
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "runtime.healthcheck"]
CMD ["python", "-m", "runtime.boot", "memory_svc"]

# Brings the database up to what `memory` needs, and ends.
FROM base AS migrate
COPY --from=code /app/memory_svc /app/memory_svc
HEALTHCHECK NONE
CMD ["python", "-m", "runtime.boot", "memory_svc", "migrate"]

FROM base AS formatter
COPY --from=code /app/formatter_svc /app/formatter_svc
ENV LISTEN_ADDR=0.0.0.0:50054
EXPOSE 50054
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "runtime.healthcheck"]
CMD ["python", "-m", "runtime.boot", "formatter_svc"]

# A small rule-based stand-in for a model, for trying things out without a key.
FROM base AS offline-model
COPY --from=code /app/devstack /app/devstack
ENV OFFLINE_MODEL_ADDR=0.0.0.0:8081
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "runtime.healthcheck", "/healthz", "8081"]
CMD ["python", "-m", "runtime.boot", "devstack.offline_model"]
