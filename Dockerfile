FROM python:3.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/afterglow
# What draws PDFs: Pango, the part of HarfBuzz that embeds fonts, and a font with most of the world's letters.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends \
        libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core && rm -rf /var/lib/apt/lists/*
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY manage.py pyproject.toml ./
COPY clinic clinic
COPY patients patients
COPY treatments treatments
COPY templates templates
COPY static static
# Static files are collected with stand-in keys: nothing of them stays in the image but hashed file names.
RUN SECRET_KEY=only-to-collect-static-files AFTERGLOW_MODE=local STATIC_ROOT=/srv/afterglow/staticfiles \
    STATIC_MANIFEST=1 python manage.py collectstatic --no-input
RUN useradd --system --create-home afterglow && mkdir -p /var/lib/afterglow && chown afterglow /var/lib/afterglow
USER afterglow
ENV AFTERGLOW_MODE=production STATIC_ROOT=/srv/afterglow/staticfiles AFTERGLOW_DATA=/var/lib/afterglow
EXPOSE 8000
CMD ["gunicorn", "clinic.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "3", "--threads", "8", "--no-control-socket"]
