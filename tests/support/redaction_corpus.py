"""Texts with secrets and personal data, and texts that only look like it, in the forms that logs really have.

Values are made by a generator with a fixed seed, so that each is new, and none is anybody's.
"""

import base64
import random
import string
import uuid

_LETTERS = string.ascii_letters + string.digits
_URL_SAFE = _LETTERS + "-_"
_random = random.Random(20261127)


def _word(length, alphabet=_LETTERS):
    return "".join(_random.choices(alphabet, k=length))


def _base64(size):
    return base64.b64encode(_random.randbytes(size)).decode()


def jwt():
    return f"eyJ{_word(33, _URL_SAFE)}.eyJ{_word(120, _URL_SAFE)}.{_word(43, _URL_SAFE)}"


def storage_key():
    return _base64(64)


def password():
    # A digit somewhere, as most rules for passwords ask for.
    return _word(5) + _random.choice("!#$%^*-_+.") + str(_random.randrange(10, 99)) + _word(3)


def luhn(digits):
    total = sum(
        value - 9 if value > 9 else value
        for value in (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    )
    return digits + str(-total % 10)


def card():
    length, start = _random.choice([(16, "4"), (16, "51"), (16, "2221"), (15, "37"), (16, "6011")])
    return luhn(start + _word(length - 1 - len(start), string.digits))


def grouped(number):
    return " ".join(number[place : place + 4] for place in range(0, len(number), 4))


def iban(country="DE", length=18):
    account = _word(length, string.digits)
    check = 98 - int("".join(str(int(each, 36)) for each in f"{account}{country}00")) % 97
    return f"{country}{check:02}{account}"


def address():
    return ".".join(str(_random.randrange(1, 255)) for _ in range(4))


# Each form has one place for a secret.
_SECRET_FORMS = {
    jwt: [
        "token {}",
        "Authorization: Bearer {}",
        "{{'Authorization': 'Bearer {}', 'Accept': '*/*'}}",
        '{{"access_token": "{}", "expires_in": 3599}}',
        "GET /me?access_token={} HTTP/1.1",
        "verification failed for {}: signature mismatch",
        "id_token={}&state=1",
        "cookie 'session' = {}",
    ],
    lambda: _word(40, _URL_SAFE) + "7": [
        "Authorization: Bearer {}",
        "authorization=bearer {}",
        "curl -H 'Authorization: Bearer {}' https://api.example.com",
        "sent Bearer {} to the gateway",
        "X-Api-Key: header set, api_key={}",
        "refresh_token='{}'",
        "SECRET_TOKEN={}",
        'config {{"client_secret": "{}"}}',
        "client_secret={}&grant_type=client_credentials",
        "POST /api/orders?code={} HTTP/1.1",
        "x-functions-key: {}",
        "x-ms-client-session-id {}",
    ],
    storage_key: [
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={};EndpointSuffix=core.windows.net",
        "Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=root;SharedAccessKey={}",
        "AccountEndpoint=https://shop.documents.azure.com:443/;AccountKey={};",
        "storage key {} was rotated",
        "keys: ['{}']",
        "HostName=hub.azure-devices.net;DeviceId=d1;SharedAccessKey={}",
    ],
    lambda: _word(3) + "8Q~" + _word(34, _URL_SAFE): [
        "AADSTS7000215: Invalid client secret {} provided",
        "AZURE_CLIENT_SECRET={}",
        "secret: {}",
    ],
    lambda: f"AKIA{_word(16, string.ascii_uppercase + '234567')}": [
        "using {}",
        "aws_access_key_id={}",
        "Credential={}/20261127/eu-west-1/s3/aws4_request",
        "InvalidAccessKeyId: {} does not exist",
    ],
    lambda: _word(40, _LETTERS + "/+"): [
        "aws_secret_access_key={}",
        "AWS_SECRET_ACCESS_KEY: '{}'",
        "secret_access_key = {}",
    ],
    lambda: _base64(32).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"): [
        "https://shop.blob.core.windows.net/a/b?sv=2024-11-04&se=2026-12-01&sr=b&sp=r&sig={}",
        "SharedAccessSignature sr=hub&sig={}&se=1764249600&skn=root",
        "PUT https://x.queue.core.windows.net/q?sig={}&sv=2024 -> 403",
    ],
    password: [
        "postgresql://shop:{}@db.example.com:5432/orders",
        "connecting to amqp://guest:{}@rabbit/vhost",
        "redis://:{}@cache:6379/0 refused the connection",
        "HTTPS_PROXY=http://user:{}@proxy.example.com:3128",
        "mongodb+srv://shop:{}@cluster0.example.net/?retryWrites=true",
        "password={}",
        "user=ann password={} host=db",
        "Server=tcp:shop.database.windows.net;User ID=ann;Password={};Encrypt=True",
        "DB_PASSWORD: '{}'",
        '{{"user": "ann", "password": "{}"}}',
        "login(user='ann', passwd='{}')",
        "pwd={}",
        "passphrase = {}",
        "my password is {}",
        "logged in with {}",
        "login failed for ann:{}",
    ],
    lambda: _base64(24): [
        "Authorization: Basic {}",
        "Proxy-Authorization: Basic {}",
        "{{'authorization': 'Basic {}'}}",
        "Authorization: SharedKey shop:{}",
    ],
    lambda: f"session={_word(32)}; csrftoken={_word(32)}": [
        "Cookie: {}",
        "Set-Cookie: {}; Path=/; HttpOnly",
        "{{'Cookie': '{}', 'Host': 'example.com'}}",
    ],
    lambda: f"-----BEGIN RSA PRIVATE KEY-----\n{_base64(48)}\n{_base64(30)}\n-----END RSA PRIVATE KEY-----": [
        "loaded {}",
        "{}",
        "bad key:\n{}\n(while reading key.pem)",
    ],
}
_PERSONAL_FORMS = {
    lambda: f"{_word(6).lower()}.{_word(5).lower()}@{_word(8).lower()}.example.com": [
        "mail sent to {}",
        "user <{}> logged in",
        "{{'email': '{}'}}",
        "RCPT TO:<{}>",
        "bounced: {}; reason=550",
        "mailto:{}?subject=x",
    ],
    card: ["card {}", "paid with {} yesterday", "pan={}&cvv=123", '{{"number": "{}"}}', "{} was declined"],
    lambda: grouped(card()): ["card {}", "number: {}, expires 12/29"],
    iban: ["account {}", "IBAN={}", "transfer from {} failed", '{{"iban": "{}"}}'],
    lambda: grouped(iban("FR", 23)): ["refund to {}", "IBAN: {}"],
    lambda: grouped(iban("NL", 14)): ["debit {}"],
    address: ["client {}", "from {}:51234", "X-Forwarded-For: {}", "{} - - [27/Nov/2026] GET /", "blocked ip={}"],
    lambda: ":".join(f"{_random.randrange(1, 65536):x}" for _ in range(8)): ["peer {}", "from [{}]:443", "ip6={}"],
    lambda: f"2001:db8::{_random.randrange(1, 65536):x}": ["peer {}", "remote={}"],
    lambda: f"+49 30 {_word(7, string.digits)}": ["call {}", "phone={}", "tel: {}"],
    lambda: f"+1 ({_random.randrange(200, 999)}) {_random.randrange(200, 999)}-{_word(4, string.digits)}": [
        "sms to {}"
    ],
    lambda: f"({_random.randrange(200, 999)}) {_random.randrange(200, 999)}-{_word(4, string.digits)}": ["fax {}"],
    lambda: f"+4479{_word(8, string.digits)}": ["otp sent to {}", "msisdn={}"],
    lambda: f"030 {_word(7, string.digits)}": ["call {}"],
    lambda: f"{_random.randrange(200, 999)}.{_random.randrange(200, 999)}.{_word(4, string.digits)}": ["fax {}"],
}


def _filled(forms, each):
    return [
        (form.format(value), value)
        for make, texts in forms.items()
        for form in texts
        for value in (make() for _ in range(each))
    ]


# Text that holds nothing, although it speaks of it or has its shape.
_INNOCENT = [
    "password: must be at least 12 characters",
    "password=None",
    "password = ''",
    "the password was changed by {user}",
    "Invalid token: unexpected end of input at line {small}",
    "token=expired user={user}",
    "secret={{secret}} is a placeholder",
    "PASSWORD=<redacted>",
    "api_key=***",
    "secret not found: keyvault/{user}",
    "bearer of good news arrived",
    "Bearer authentication failed",
    "401 Unauthorized: Bearer realm=example",
    "Authorization: denied for {user}",
    "authorization=ok",
    "cookie banner was shown to {user}",
    "Set-Cookie header is missing",
    "cache key=orders:{small}",
    "primary key={small}, foreign key=user_id",
    "monkey=banana donkey=apple",
    "sort by key: name",
    "InstrumentationKey={uuid};IngestionEndpoint=https://x.in.applicationinsights.azure.com/",
    "GET https://example.com:8443/path/@{user} 200",
    "git clone ssh://git@example.com/{user}/repo.git",
    "see https://example.com/a?b=c&d={small}#e",
    "https://shop.blob.core.windows.net/a/b?sv=2024-11-04&sr=b",
    "design=modern sig=none",
    "commit {hex} by {user}",
    "digest sha256:{hex}{hex}",
    'etag "{hex}"',
    "trace_id={hex} span_id={hex16}",
    "public key: ssh-rsa {base64} {user}@host",
    "-----BEGIN CERTIFICATE----- {base64}",
    "eyJ is how a token begins",
    "AKIA is the prefix of a key id",
    "x = y == z",
    "while not done: wait({small})",
    "ratio 3:2, score 10:{small}",
    "{{'keys': [1, 2, {small}], 'tokens': {small}}}",
    "tokens: {small}, prompt_tokens: {small}",
    "token count={small}",
    "max_tokens={small}",
    "csrf token missing",
    "credentials: missing",
    "connection_string: required",
    "access key rotated at {time}",
    "2026-11-27T14:02:11.123Z INFO worker-{small} started in {small} ms",
    'Traceback (most recent call last): File "/srv/app/auth/token.py", line {small}, in refresh',
    "KeyError: 'password'",
    "ValueError: secret must be a str, not int",
    "SELECT id FROM users WHERE token_id = {small}",
    "nextPageToken={number}",
    "secret={user}-{small} is the name of the vault's entry",
    "password: {user}{small} was rejected as too short",
]
_ORDINARY = [
    "order {number} of customer {small} was accepted",
    "version 1.{small}.3",
    "python 3.11.{small} on linux 6.1.{small}",
    "schema v 10.{byte}.3.{byte} is not used",
    "release v{byte}.2.{byte}.1",
    "listening on 127.0.0.1:{small}",
    "bound to 0.0.0.0:{small} and [::1]:{small}",
    "12:30:{two} took 00:00:0{one}",
    "at 2026-11-27 14:02:{two}.123456",
    "epoch {epoch} ms {epoch}000",
    "uuid {uuid}",
    "mac 00:1a:2b:3c:4d:{two}",
    "amount 1,234,567.{two} EUR",
    "range 1000-{number} of 50000",
    "isbn 978-3-16-148410-{one}",
    "{number} rows in {small} ms, {small} left",
    "ratio {small}/{small}",
    "commit {hex}",
    "trace {hex} span {hex16}",
    "@decorator and user@host",
    "twitter handle @{user}",
    "a@b is no address",
    "std::vector<int>::size()",
    "std::string at 0x7f{hex16}",
    "C:\\Users\\{user}\\file.txt",
    "tracking number {track}",
    "invoice 2026-{number}",
    "ticket INC{number}",
    "GB29 is a gate, DE{two} a motorway",
    "order AB12 3456 7890",
    "temperature -12.5 to +{two}.5",
    "phone number is missing",
    "extension {small}",
    "part 12345-{small}-A",
    "coordinates 52.520008, 13.404954",
    "coordinates -33.8688{two}, 151.2093{two}",
    "bytes 0-499/{number}",
    "pid {small} exited with -{one}",
    "10.5 + 20.{two} = {small}.{two}",
    "port range 49152-65535",
    "key 4000{wrong}",
    "sum 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "progress 12/34/56/78",
    "scores [10, 20, 30, 40, 50, 60]",
    "memory 0.5 1.5 2.5 3.5 GB",
    "load average: 3.64 4.52 3.{two}",
    "section 1.2.3",
    "RFC 2616, RFC 7231",
    "{small}x{small} pixels",
    "cell A1:B{two}",
    "firmware {byte}.{byte}.{byte}.{byte}",
    "ratio 555-123-{number}",
]


def _innocent(texts, each):
    made = []
    for text in texts:
        for _ in range(each):
            values = {
                "user": _random.choice(["ann", "bob", "shop-worker", "system"]),
                "small": _random.randrange(10, 9_000),
                "number": _random.randrange(10_000, 99_999_999),
                "one": _random.randrange(1, 9),
                "two": f"{_random.randrange(10, 60)}",
                "byte": _random.randrange(1, 200),
                "uuid": uuid.UUID(int=_random.getrandbits(128), version=4),
                "hex": _word(32, "0123456789abcdef"),
                "hex16": _word(16, "0123456789abcdef"),
                "base64": _base64(60),
                "time": f"2026-11-27 14:{_random.randrange(10, 60)}",
                "epoch": _random.randrange(1_700_000_000, 1_800_000_000),
                "track": f"1Z{_word(16, string.digits)}",
                # The last digit is wrong by one, so it is not a card's number.
                "wrong": str((int(luhn("4000" + (rest := _word(11, string.digits)))[-1]) + 1) % 10).join([rest, ""]),
            }
            made.append(text.format(**values))
    return made


SECRETS = _filled(_SECRET_FORMS, 6)
PERSONAL = _filled(_PERSONAL_FORMS, 10)
NO_SECRETS = _innocent(_INNOCENT, 7)
NOT_PERSONAL = _innocent(_ORDINARY, 7)
