"""Settings, read from the environment. `AFTERGLOW_MODE=production` refuses to start on anything unsafe.

Modes: `local` (the default: loopback only, for the demo, tests and commands on one machine) and `production`.
"""

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """Return the environment variable, or the default; without a default it must be set."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"{name} must be set in production. See .env.example.")
    return value


def flag(name: str, default: bool = False) -> bool:
    """Return true for 1, true, yes, on."""
    return os.environ.get(name, str(default)).strip().lower() in {"1", "true", "yes", "on"}


def words(name: str, default: str = "") -> list[str]:
    """Return the comma-separated words of the environment variable."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


BASE_DIR = Path(__file__).resolve().parent.parent
MODE = text("AFTERGLOW_MODE", "local")
if MODE not in {"local", "production"}:
    raise ImproperlyConfigured("AFTERGLOW_MODE must be local or production.")
PRODUCTION = MODE == "production"
DEMO = flag("AFTERGLOW_DEMO") and not PRODUCTION
DEBUG = flag("DEBUG")

# What the demo keeps between starts: database, photos, mailbox, keys.
DATA_DIR = Path(text("AFTERGLOW_DATA", str(BASE_DIR / ".afterglow"))).resolve()

# --- keys and hosts ---------------------------------------------------------------------------------------------
LOCAL_KEY = "local-key-for-loopback-only-" + "0" * 32
LOCAL_FIELD_KEY = "bG9jYWwta2V5LWZvci1sb29wYmFjay1vbmx5LTAwMDA="
SECRET_KEY = text("SECRET_KEY", None if PRODUCTION else LOCAL_KEY)
# Fernet keys, newest first; older ones still open what they sealed.
FIELD_KEYS = words("FIELD_KEYS") or [text("FIELD_KEYS", None if PRODUCTION else LOCAL_FIELD_KEY)]
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "" if PRODUCTION else "localhost,127.0.0.1,[::1],testserver")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
# Where patients' links lead; messages are rendered by a worker that sees no request.
PUBLIC_URL = text("PUBLIC_URL", None if PRODUCTION else "http://127.0.0.1:8000").rstrip("/")

if PRODUCTION:
    if DEBUG:
        raise ImproperlyConfigured("DEBUG must be off in production.")
    if SECRET_KEY == LOCAL_KEY or len(SECRET_KEY) < 50:
        raise ImproperlyConfigured("SECRET_KEY must be your own and at least 50 characters long.")
    if LOCAL_FIELD_KEY in FIELD_KEYS:
        raise ImproperlyConfigured("FIELD_KEYS must be your own: health answers are sealed with them.")
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS must name your host names; * is refused.")
    if not PUBLIC_URL.startswith("https://"):
        raise ImproperlyConfigured("PUBLIC_URL must start with https://.")

# --- applications -----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.admin",
    "crispy_forms",
    "crispy_bootstrap5",
    "bootstrap",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "clinic",
    "patients",
    "treatments",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "clinic.staff.middleware.Doorkeeper",
    "clinic.premises.middleware.Whereabouts",
]

ROOT_URLCONF = "clinic.urls"
WSGI_APPLICATION = "clinic.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "clinic.staff.context.house",
            ],
        },
    }
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# --- database ---------------------------------------------------------------------------------------------------


def database(url: str) -> dict[str, object]:
    """Return Django's settings for a postgresql:// URL; `?host=` names a socket folder."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must start with postgresql://.")
    query = dict(parse_qsl(parts.query))
    # Short indexed queries all day: compiling them costs more than running them.
    options: dict[str, object] = {"options": "-c jit=off"}
    if flag("DATABASE_POOL"):
        options["pool"] = {"min_size": 1, "max_size": int(text("DATABASE_POOL_MAX", "8"))}
    if "sslmode" in query:
        options["sslmode"] = query["sslmode"]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "afterglow",
        "USER": unquote(parts.username or "postgres"),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host") or parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0 if "pool" in options else 600,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }


DATABASE_URL = text(
    "DATABASE_URL", None if PRODUCTION else f"postgresql://postgres@/afterglow?host={DATA_DIR / 'postgres'}"
)
DATABASES = {"default": database(DATABASE_URL)}
# The role the web and worker processes sign in as. It owns no tables; migrations grant it what it needs.
DATABASE_APP_ROLE = text("DATABASE_APP_ROLE", "")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Around midnight it takes "any time of the day", 00:00 to 23:59, for a forgotten now().
SILENCED_SYSTEM_CHECKS = ["fields.W161"]

# --- Celery -----------------------------------------------------------------------------------------------------
REDIS_URL = text("REDIS_URL", None if PRODUCTION else "")
CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost//"
_BROKER_DIR = DATA_DIR / "broker"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = (
    {
        "visibility_timeout": 120,  # longer than task_time_limit, so a running task is never handed out again
        "unacked_restore_interval": 10,  # look for a killed worker's tasks at once, not after about 100 s
        "unacked_restore_throttle": 1,
        "socket_timeout": 15,  # a broker that went silent is noticed: no worker waits for it for ever
        "socket_connect_timeout": 5,
        "health_check_interval": 15,  # a kept connection that a firewall dropped is found before it is used
        "global_keyprefix": text("CELERY_KEYPREFIX", "afterglow:"),  # several installations may share one Redis
    }
    if REDIS_URL
    else {
        "data_folder_in": str(_BROKER_DIR / "queue"),
        "data_folder_out": str(_BROKER_DIR / "queue"),
        "processed_folder": str(_BROKER_DIR / "done"),
        "control_folder": str(_BROKER_DIR / "control"),
        "store_processed": False,
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True  # a worker that starts before its broker waits for it
CELERY_TASK_ACKS_LATE = True  # a killed worker's task runs again; every task is safe twice
CELERY_TASK_REJECT_ON_WORKER_LOST = True  # also when only the pool's child was killed: back in seconds, not lost
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # one slow send must not hold others in a worker's pocket
CELERY_TASK_IGNORE_RESULT = True  # results would be health data in the broker
CELERY_TASK_TIME_LIMIT = 60  # a hung task ends before its lease and the visibility timeout do
CELERY_TASK_SOFT_TIME_LIMIT = 45  # first an exception, so that what was claimed is handed back
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20  # a deploy lets the batch in hand finish
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
# The beat is only the hand that moves: what is due stands in the tables.
CELERY_BEAT_SCHEDULE = {
    "dispatch-due-messages": {"task": "messaging.dispatch_due_messages", "schedule": 15.0, "options": {"expires": 14}},
    # What a gateway reported while the sender still had the message in hand.
    "apply-receipts": {"task": "replies.apply_receipts", "schedule": 15.0, "options": {"expires": 14}},
    "watch-escalations": {"task": "aftercare.watch_escalations", "schedule": 30.0, "options": {"expires": 29}},
    # Whatever changed beneath a booked visit, its messages follow within the minute.
    "set-messages-right": {"task": "journey.set_messages_right", "schedule": 60.0, "options": {"expires": 59}},
    # And each night every message is compared with what should be, also where nothing seems to have changed.
    "check-messages": {"task": "journey.check_messages", "schedule": crontab(hour=2, minute=30)},
    "sweep-waitlist": {"task": "waitlist.sweep", "schedule": 30.0, "options": {"expires": 29}},
    "rescreen-by-new-rules": {"task": "workshop.rescreen", "schedule": 30.0, "options": {"expires": 29}},
    # Answers grow old at midnight, and each location has its own.
    "let-answers-expire": {"task": "expiry.let_answers_expire", "schedule": 3600.0, "options": {"expires": 3500}},
    "ask-again-before-visits": {"task": "journey.ask_again", "schedule": 600.0, "options": {"expires": 590}},
}

# --- mail and text gateways ---------------------------------------------------------------------------------------
EMAIL_HOST = text("SMTP_HOST", None if PRODUCTION else "127.0.0.1")
EMAIL_PORT = int(text("SMTP_PORT", "587" if PRODUCTION else "2525"))
EMAIL_HOST_USER = text("SMTP_USER", "")
EMAIL_HOST_PASSWORD = text("SMTP_PASSWORD", "")
EMAIL_USE_TLS = flag("SMTP_STARTTLS", PRODUCTION)  # asked for means required: never sent in the clear instead
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = text("MAIL_FROM", None if PRODUCTION else "Afterglow Clinic <hello@afterglow.example>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# http, twilio: gateways; file: texts are appended to SMS_FILE; none: no texts are sent
SMS_GATEWAY = text("SMS_GATEWAY", "file")
if SMS_GATEWAY not in {"file", "none", "http", "twilio"}:
    raise ImproperlyConfigured("SMS_GATEWAY must be http, twilio, file or none.")
SMS_FILE = Path(text("SMS_FILE", str(DATA_DIR / "sms.jsonl")))
SMS_TIMEOUT = 10  # seconds for each answer; a look-up may follow, and a claim lasts 90
SMS_HTTP_URL = text("SMS_HTTP_URL", None if SMS_GATEWAY == "http" else "")
SMS_HTTP_TOKEN = text("SMS_HTTP_TOKEN", "").strip()  # sent as "Authorization: Bearer …"
SMS_HTTP_SECRET = text(
    "SMS_HTTP_SECRET", ""
).strip()  # signs what that gateway tells us; without it nothing is believed
TWILIO_ACCOUNT_SID = text("TWILIO_ACCOUNT_SID", None if SMS_GATEWAY == "twilio" else "")
TWILIO_AUTH_TOKEN = text("TWILIO_AUTH_TOKEN", None if SMS_GATEWAY == "twilio" else "").strip()
TWILIO_FROM = text("TWILIO_FROM", None if SMS_GATEWAY == "twilio" else "")  # a number, or a messaging service: MG…
# Twilio answers STOP and START itself unless an account had that switched off; then we do.
TWILIO_CONFIRMS_STOP = flag("TWILIO_CONFIRMS_STOP", True)
TWILIO_URL = text("TWILIO_URL", "https://api.twilio.com").rstrip("/")  # another for Twilio's other regions
# Where gateways report delivery and bring replies. They can reach no other address than a public one.
SMS_CALLBACK_URL = text("SMS_CALLBACK_URL", PUBLIC_URL if PUBLIC_URL.startswith("https://") else "").rstrip("/")
_address = {"http": SMS_HTTP_URL, "twilio": TWILIO_URL}.get(SMS_GATEWAY, "https://")
if not _address.startswith("https://") and urlsplit(_address).hostname not in {"localhost", "127.0.0.1", "::1"}:
    raise ImproperlyConfigured("SMS_HTTP_URL and TWILIO_URL must start with https://: texts tell who is a patient.")
# What a gateway takes a minute, where it says so; 0: all there are. After an outage a day's messages wait at once.
SENDS_A_MINUTE = {"email": int(text("SMTP_A_MINUTE", "0")), "sms": int(text("SMS_A_MINUTE", "0"))}
MAILBOX_DIR = Path(text("MAILBOX_DIR", str(DATA_DIR / "mailbox")))  # where the demo's own SMTP server puts letters

# --- sign-in ------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "clinic.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # accounts are made by a manager, who knows the address
ACCOUNT_ADAPTER = "clinic.staff.adapter.StaffAccounts"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody can make the clinic write to strangers
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_GET = False
ALLAUTH_TRUSTED_PROXY_COUNT = int(text("TRUSTED_PROXY_COUNT", "1" if PRODUCTION else "0"))
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Afterglow"
# Clinical roles and managers must hold a second factor, except in the demo and in tests that say so.
MFA_COMPULSORY = not DEMO and flag("MFA_COMPULSORY", PRODUCTION)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/today/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"

# --- cookies, headers ---------------------------------------------------------------------------------------------
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "clinic.staff.views.csrf_failure"
# "no-referrer" would turn the Origin of our own forms into null, and the CSRF check would refuse them.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
    SECURE_SSL_REDIRECT = flag("SSL_REDIRECT", True)
    SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],  # Bootstrap's own icons are data: images inside its stylesheet
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}

# --- language, time, files ------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Collected once for production; the demo and the tests serve the files from where they lie.
STATIC_ROOT = text("STATIC_ROOT", str(BASE_DIR / "staticfiles") if PRODUCTION else "") or None
_MANIFEST = "whitenoise.storage.CompressedManifestStaticFilesStorage"
_PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _MANIFEST if PRODUCTION or flag("STATIC_MANIFEST") else _PLAIN},
}
WHITENOISE_USE_FINDERS = not PRODUCTION
MEDIA_ROOT = Path(text("MEDIA_ROOT", str(DATA_DIR / "media")))
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 400
DATA_UPLOAD_MAX_NUMBER_FILES = 4  # a form here sends one or two
FILE_UPLOAD_HANDLERS = [
    "clinic.pictures.uploads.CappedUpload",  # first: what is too large goes neither to memory nor to disk
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"masked": {"()": "clinic.masked.Masked", "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "masked"}},
    # Django would mail errors to ADMINS, with everything that was typed: they stay in the log.
    "loggers": {"django": {"handlers": []}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO" if PRODUCTION else "WARNING")},
}
