# One image, two services (see compose.yaml). It runs the same `make` targets as a laptop does.
FROM python:3.11-slim-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 showerscope && mkdir /state && chown showerscope /state

WORKDIR /opt/showerscope
RUN chown showerscope .
USER showerscope

# dependencies change seldom: their layer is kept while the code changes
COPY --chown=showerscope pyproject.toml constraints.txt Makefile README.md LICENSE ./
RUN mkdir app engine && touch app/__init__.py engine/__init__.py && make .venv/run.stamp
COPY --chown=showerscope . .
RUN touch .venv/run.stamp

ENV SHOWERSCOPE_HOME=/state PATH=/opt/showerscope/.venv/bin:$PATH
VOLUME /state
EXPOSE 8501
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=3)"]
# reachable from outside the container; publish the port on loopback only: docker run -p 127.0.0.1:8501:8501
CMD ["make", "run", "BIND=0.0.0.0"]
