//! Names whose values are secret: of variables, options, headers and fields.

/// A name longer than this is looked at from its end only.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// A part of a name that ends in one of these says that the value is secret.
const SECRET_ENDINGS: &[&[u8]] = &[
    b"PASS",
    b"PASSWD",
    b"PASSWORD",
    b"PASSPHRASE",
    b"PASSCODE",
    b"PWD",
    b"SECRET",
    b"TOKEN",
    b"APIKEY",
    b"ACCESSKEY",
    b"PRIVATEKEY",
    b"SECRETKEY",
    b"AUTHKEY",
    b"ACCOUNTKEY",
    b"MASTERKEY",
    b"ENCRYPTIONKEY",
    b"SUBSCRIPTIONKEY",
    b"FUNCTIONKEY",
    b"FUNCTIONSKEY",
    b"LICENSEKEY",
    b"PRESHAREDKEY",
    b"SESSIONKEY",
    b"CREDENTIAL",
    b"CREDENTIALS",
    b"CREDS",
    b"PASSPHRASES",
    b"KEYMATERIAL",
    b"WEBHOOKSECRET",
    b"ACCESSSIGNATURE",
    b"PASSWRD",
    b"PASSWORT",
    b"PSSWD",
];

/// Names, or parts at the end of one, that are too short to be looked for as endings.
const SECRET_PARTS: &[&[u8]] =
    &[b"PW", b"PSK", b"OTP", b"TOTP", b"MFA", b"BEARER", b"PSWD", b"JWT", b"REQUIREPASS", b"MASTERAUTH"];

/// Names that may or may not be of a secret: the value must look like one.
const WEAK_PARTS: &[&[u8]] = &[
    b"KEY",
    b"SIGNINGKEY",
    b"AUTH",
    b"SIG",
    b"SIGNATURE",
    b"SALT",
    b"SEED",
    b"SESSION",
    b"SESSIONID",
    b"CODE",
    b"HMAC",
    b"LICENSE",
    b"COOKIE",
    b"PIN",
    b"APIKEYS",
    b"HEX",
    b"PEPPER",
    b"NONCE",
    b"DSN",
    b"WEBHOOK",
    b"MNEMONIC",
    b"KEYS",
    b"TOKENS",
    b"LOGIN",
    b"CSRF",
    b"XSRF",
    b"PHPSESSID",
    b"JSESSIONID",
];

/// Parts that end like a secret and are none.
const HARMLESS: &[&[u8]] = &[
    b"EXISTINGSECRET",
    b"PULLSECRET",
    b"IMAGEPULLSECRET",
    b"IMAGEPULLSECRETS",
    b"TLSSECRET",
    b"SECRETS",
    b"CERTSECRET",
    b"COMPASS",
    b"BYPASS",
    b"TRESPASS",
    b"OVERPASS",
    b"SURPASS",
    b"ENCOMPASS",
    b"MULTIPASS",
    b"OLDPWD",
];

/// A part before `TOKEN` that makes it a place in a list, or a mark against doing a thing twice.
const PLACES: &[&[u8]] = &[
    b"STARTING",
    b"NEXT",
    b"PAGE",
    b"CONTINUATION",
    b"IDEMPOTENCY",
    b"SYNC",
    b"CONTINUE",
    b"PAGINATION",
    b"SCROLL",
    b"EOS",
    b"PAD",
    b"MAX",
    b"CLIENTREQUEST",
];

/// A part before `KEY` that makes it a secret one.
const KEY_OWNERS: &[&[u8]] = &[
    b"API",
    b"ACCESS",
    b"PRIVATE",
    b"SECRET",
    b"MASTER",
    b"SIGNING",
    b"ENCRYPTION",
    b"AUTH",
    b"ACCOUNT",
    b"SHARED",
    b"APP",
    b"APPLICATION",
    b"SUBSCRIPTION",
    b"FUNCTION",
    b"FUNCTIONS",
    b"LICENSE",
    b"HMAC",
    b"SESSION",
    b"STORAGE",
    b"INTEGRATION",
    b"ROUTING",
    b"INGEST",
    b"WRITE",
    b"CONSUMER",
    b"DEPLOY",
    b"SERVICE",
    b"CRYPTO",
    b"JWT",
    b"SECURITY",
    b"USER",
    b"ADMIN",
    b"WEBHOOK",
];

/// A name that ends so speaks about a secret, and its value is none.
const ABOUT: &[&[u8]] = &[
    b"FILE",
    b"PATH",
    b"DIR",
    b"URL",
    b"URI",
    b"HOST",
    b"NAME",
    b"ID",
    b"TYPE",
    b"TTL",
    b"LENGTH",
    b"LEN",
    b"MIN",
    b"MAX",
    b"SIZE",
    b"COUNT",
    b"TIMEOUT",
    b"EXPIRY",
    b"EXPIRES",
    b"EXPIRATION",
    b"ENDPOINT",
    b"REGION",
    b"POLICY",
    b"ENABLED",
    b"REQUIRED",
    b"ARN",
    b"PREFIX",
    b"HEADER",
    b"FORMAT",
    b"ALGORITHM",
    b"ISSUER",
    b"PORT",
    b"STORE",
    b"LIMIT",
    b"FIELD",
    b"PROMPT",
    b"VERSION",
    b"CMD",
    b"COMMAND",
    b"STDIN",
    b"THROUGH",
    b"ENV",
    b"FD",
    b"HELPER",
    b"MODE",
    b"PROVIDER",
    b"HASH",
    b"DIGEST",
    b"FINGERPRINT",
    b"NAMESPACE",
    b"REF",
    b"SERVICE",
    b"BUCKET",
    b"LABEL",
    b"ROTATION",
    b"AGE",
    b"STATUS",
    b"CLASS",
    b"HINT",
    b"REGEX",
    b"PATTERN",
    b"SCOPE",
    b"SCOPES",
    b"AUDIENCE",
    b"SUBJECT",
    b"REALM",
    b"LIFETIME",
    b"DURATION",
    b"OWNER",
    b"USER",
    b"USERNAME",
    b"EMAIL",
    b"ATTEMPTS",
    b"RETRIES",
    b"HISTORY",
    b"STRENGTH",
    b"PLUGIN",
    b"AUTHENTICATION",
    b"ENCODING",
    b"DRIVER",
    b"BACKEND",
    b"LOCATION",
    b"KIND",
    b"INDEX",
    b"SELECTOR",
    b"EXPIRE",
    b"CHANGE",
    b"GROUP",
    b"MANAGER",
    b"RATE",
    b"BUDGET",
    b"WINDOW",
    b"EXPIRATIONTIME",
    b"SIGNING",
    b"ROLE",
    b"DATE",
    b"TIME",
    b"DAYS",
    b"SECONDS",
    b"HOURS",
    b"MINUTES",
    b"TITLE",
    b"DESCRIPTION",
    b"ONLY",
    b"SOCK",
];

/// An option that begins so is a switch: what follows it is not its value.
const SWITCHES: &[&[u8]] = &[
    b"NO",
    b"ASK",
    b"PROMPT",
    b"WITH",
    b"WITHOUT",
    b"USE",
    b"SHOW",
    b"HIDE",
    b"ENABLE",
    b"DISABLE",
    b"REQUIRE",
    b"ALLOW",
    b"SKIP",
    b"GENERATE",
    b"LIST",
    b"REVOKE",
    b"CREATE",
    b"DELETE",
    b"ROTATE",
    b"RESET",
    b"CHANGE",
    b"IGNORE",
    b"SAVE",
    b"STORE",
    b"PRINT",
    b"UPDATE",
    b"RECV",
    b"SEND",
    b"REFRESH",
    b"EXPORT",
    b"IMPORT",
    b"GET",
    b"FIND",
];

/// What a name says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// It is a password.
    Password,
    /// It is another secret.
    Secret,
    /// It is a secret if it looks like one.
    Maybe,
    /// Nothing.
    Nothing,
}

/// Tells what the name of a variable, option, header or field says about its value.
pub(super) fn ask(name: &[u8]) -> Says {
    let name = name.trim_ascii();
    let name = &name[name.len().saturating_sub(NAME_BYTES_MAX)..];
    // The shell's own variable is a directory, and so is an alias; `Pwd=` of a connection string is neither.
    if matches!(name, b"PWD" | b"pwd") || name.len() < 2 {
        return Says::Nothing;
    }
    let name = name.to_ascii_uppercase();
    let parts: Vec<&[u8]> =
        name.split(|byte| !byte.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let is_about = parts.last().is_some_and(|last| ABOUT.contains(last));
    let is_option = name.starts_with(b"-");
    let is_switch = is_option && parts.len() > 1 && parts.first().is_some_and(|head| SWITCHES.contains(head));
    if is_about || is_switch { Says::Nothing } else { parts_say(&parts) }
}

fn parts_say(parts: &[&[u8]]) -> Says {
    let is_place = parts.windows(2).any(|pair| pair[1] == b"TOKEN" && PLACES.contains(&pair[0]));
    let secret = parts.iter().copied().filter(|part| is_secret(part) && !(is_place && part == b"TOKEN"));
    if let Some(is_password) = secret.map(|part| memchr::memmem::find(part, b"PASS").is_some()).max() {
        return if is_password { Says::Password } else { Says::Secret };
    }
    let Some(last) = parts.last() else { return Says::Nothing };
    let is_key = parts.windows(2).any(|pair| pair[1] == b"KEY" && KEY_OWNERS.contains(&pair[0]));
    let is_wireless = parts.first() == Some(&b"WIRELESS".as_slice()) && parts.ends_with(&[b"KEY"]);
    let is_redis = parts == [b"REDISCLI".as_slice(), b"AUTH"];
    if is_wireless || matches!(*last, b"PW" | b"PSWD") {
        Says::Password
    } else if is_key || is_redis || SECRET_PARTS.contains(last) {
        Says::Secret
    } else if WEAK_PARTS.contains(last) && !parts.contains(&b"PUBLIC".as_slice()) {
        Says::Maybe
    } else {
        Says::Nothing
    }
}

fn is_secret(part: &[u8]) -> bool {
    let part = part.strip_suffix(b"S").filter(|one| one.ends_with(b"SECRET")).unwrap_or(part);
    SECRET_ENDINGS.iter().any(|ending| part.ends_with(ending)) && !HARMLESS.contains(&part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "PASS",
            "DB_PASSWORD",
            "MYSQL_PWD",
            "PGPASSWORD",
            "sshpass",
            "client_secret",
            "GITHUB_TOKEN",
            "API_KEY",
            "apiKey",
            "AWS_SECRET_ACCESS_KEY",
            "PRIVATE_KEY",
            "SECRET_KEY_BASE",
            "DB_PASSWORD_2",
            "--db-password",
            "_authToken",
            "X-API-Key",
            "spring.datasource.password",
            "CREDENTIALS",
            "REDISCLI_AUTH",
            "Pwd",
            "accessToken",
            "-storepass",
        ] {
            assert!(matches!(ask(name.as_bytes()), Says::Password | Says::Secret), "{name}");
        }
    }

    #[test]
    fn names_about_secrets_are_not_secret() {
        for name in [
            "",
            "PWD",
            "pwd",
            "--starting-token",
            "--encrypt-key",
            "--secrets-provider",
            "OLDPWD",
            "PASSWORD_FILE",
            "TOKEN_URL",
            "AWS_ACCESS_KEY_ID",
            "SECRET_NAME",
            "MAX_TOKENS",
            "COMPASS",
            "BYPASS",
            "KEY",
            "KEYBOARD",
            "--password-stdin",
            "--ask-pass",
            "--no-password",
            "--with-token",
            "AUTHOR",
            "PASSENGER",
            "TOKENIZER",
            "SSH_AUTH_SOCK",
            "PASSWORD_MIN",
            "--public-key",
        ] {
            assert!(matches!(ask(name.as_bytes()), Says::Nothing | Says::Maybe), "{name}");
        }
    }
}
