"""Django settings. Everything that varies comes from `environment`."""

from pathlib import Path

from belvedere.observatory import environment

BASE = Path(__file__).resolve().parent.parent
environment.certificate_header()  # a name that lets a forged certificate in stops everything here
SECRET_KEY = environment.secret_key()
DEBUG = False
ALLOWED_HOSTS = environment.read("BELVEDERE_HOSTS").split(",")
DATABASES = {"default": environment.database()}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "ninja",
    "belvedere.observatory.journal",
    "belvedere.observatory.notices",
    "belvedere.observatory.members",
    "belvedere.observatory.accounts",
    "belvedere.observatory.collect",
    "belvedere.observatory.objections",
    "belvedere.observatory.publication",
    "belvedere.observatory.digests",
    "belvedere.observatory.desk",
    "belvedere.observatory.exchange",
    "belvedere.observatory.services",
    "belvedere.observatory.study",
    "belvedere.portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "belvedere.portal.middleware.content_security_policy",
    "belvedere.api.described.told",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "belvedere.observatory.accounts.activity.SeenEachMinute",
    "belvedere.portal.access.Gatekeeper",
]
ROOT_URLCONF = "belvedere.portal.urls"
WSGI_APPLICATION = "belvedere.observatory.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE / "portal" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "belvedere.portal.context.portal",
            ],
            "builtins": ["belvedere.portal.templatetags.fr"],
        },
    }
]
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_ADAPTER = "belvedere.observatory.accounts.adapter.ClosedSignup"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key", "reset_password": "20/m/ip,5/m/key", "reauthenticate": "10/m/user"}
ALLAUTH_TRUSTED_PROXY_COUNT = int(environment.read("BELVEDERE_PROXIES"))
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"  # a passkey replaces the password only because it asks for the finger or the code
MFA_ADAPTER = "belvedere.observatory.accounts.adapter.FactorVault"
MFA_TOTP_ISSUER = "Belvédère"
MFA_TOTP_TOLERANCE = 1
MFA_FORMS = {"add_webauthn": "belvedere.observatory.accounts.forms.AddKeyForm", "edit_webauthn": "belvedere.observatory.accounts.forms.EditKeyForm"}
SOCIALACCOUNT_ADAPTER = "belvedere.observatory.accounts.adapter.ClosedSocialSignup"
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_OPENID_CONNECT_URL_PREFIX = "oidc"
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": environment.identity_providers()}}
USERSESSIONS_TRACK_ACTIVITY = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "public"

LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", "Français")]
TIME_ZONE = "Europe/Paris"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
STATIC_ROOT = environment.data_dir() / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
globals().update(environment.mail())
CACHES = {
    # Limits hold across processes.
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache", "OPTIONS": {"MAX_ENTRIES": 1_000_000}},
    # Own figures, computed by whoever needs them first (the worker, when it has nothing else to do).
    "own": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": environment.data_dir() / "own-figures", "TIMEOUT": 14 * 86_400,
        "OPTIONS": {"MAX_ENTRIES": 5_000},
    },
}  # fmt: skip
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024 * 1024

_https = environment.read("BELVEDERE_HTTPS") == "1"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^sante/(complet/)?$"]
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _https
SESSION_COOKIE_NAME = "__Host-session" if _https else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if _https else "csrf"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS: list[str] = []
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"links": {"()": "belvedere.observatory.logs.WithoutLinks"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["links"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
