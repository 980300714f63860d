//! Tokens that can be told by their own look: a prefix that only their vendor uses.

use karo_protocol::event::Secret;
use memchr::memmem;

use super::Found;
use super::scan::{forward, forward_at_most, is_inside_word, step};

/// What follows a prefix.
#[derive(Debug, Clone, Copy)]
enum Body {
    /// So many bytes, and no more of their kind.
    Exactly(usize, Kind),
    /// So many bytes or more.
    AtLeast(usize, Kind),
    /// So many bytes or more, a digit and a capital among them: for prefixes that are words, too.
    Mixed(usize, Kind),
}

/// The bytes that a token is made of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Alnum,
    Hex,
    Capitals,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Base64Url,
    /// Letters, digits and `_-.=/`.
    Dotted,
}

impl Kind {
    const fn holds(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/'),
        }
    }
}

/// One form of token: a row of the table.
pub(super) struct Vendor {
    #[cfg_attr(not(test), expect(dead_code, reason = "a failing test says whose token it was"))]
    pub(super) name: &'static str,
    pub(super) prefixes: &'static [&'static str],
    body: Body,
    kind: Secret,
    /// What follows the prefix of a token; apart from it, so that this file holds nothing like a token.
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) example: &'static str,
    /// What follows the prefix of something that is no token.
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) near_miss: &'static str,
}

const fn row(
    name: &'static str,
    prefixes: &'static [&'static str],
    body: Body,
    example: &'static str,
    near_miss: &'static str,
) -> Vendor {
    Vendor { name, prefixes, body, kind: Secret::Token, example, near_miss }
}

use Body::{AtLeast, Exactly, Mixed};
use Kind::{Alnum, Base64Url, Capitals, Dotted, Hex, Word};

const HEX32: &str = "0123456789abcdef0123456789abcdef";
const HEX40: &str = "0123456789abcdef0123456789abcdef01234567";
const HEX64: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const MIXED24: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7";
const MIXED36: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3eF5";
const MIXED48: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3eF5gH7jK9mN1pQ3";
const MIXED96: &str =
    "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3eF5gH7jK9mN1pQ3aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3eF5gH7jK9mN1pQ3";

pub(super) const VENDORS: &[Vendor] = &[
    row(
        "AWS",
        &["AKIA", "ASIA", "ABIA", "ACCA"],
        Exactly(16, Capitals),
        "ABCDEFGHIJ234567",
        "ABCDEFGHIJ23456",
    ),
    row("GitHub", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], AtLeast(36, Alnum), MIXED36, MIXED24),
    row("GitHub", &["github_pat_"], AtLeast(36, Word), MIXED48, "of_the_team"),
    row(
        "GitLab",
        &["glpat-", "gldt-", "glrt-", "glptt-", "glft-", "glsoat-", "glcbt-", "glimt-", "gloas-"],
        AtLeast(20, Base64Url),
        MIXED24,
        "short",
    ),
    row(
        "Slack",
        &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xoxc-", "xoxd-", "xapp-"],
        AtLeast(10, Base64Url),
        MIXED24,
        "short",
    ),
    row(
        "Slack",
        &["hooks.slack.com/services/"],
        AtLeast(20, Dotted),
        "T00000000/B00000000/aB3dE5gH7jK9",
        "T0/B0",
    ),
    row(
        "Discord",
        &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/"],
        AtLeast(40, Dotted),
        MIXED48,
        "12",
    ),
    row(
        "Stripe",
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
        AtLeast(16, Alnum),
        MIXED24,
        "key",
    ),
    row("Google", &["AIza"], Exactly(35, Base64Url), "SyaB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3", "SyaB3"),
    row("Google", &["ya29."], AtLeast(20, Dotted), MIXED24, "short"),
    row("Google", &["GOCSPX-"], AtLeast(24, Base64Url), "aB3dE5gH7jK9mN1pQ3sT5vW7xY9z", "short"),
    row("Anthropic", &["sk-ant-"], AtLeast(20, Base64Url), MIXED24, "colony"),
    row("OpenAI", &["sk-"], Mixed(32, Base64Url), MIXED48, "learn-contrib-feature-branch-of-a-long-name"),
    row("npm", &["npm_"], AtLeast(36, Alnum), MIXED36, "config_registry"),
    row("PyPI", &["pypi-AgE"], AtLeast(40, Base64Url), MIXED48, "short"),
    row(
        "SendGrid",
        &["SG."],
        Mixed(40, Dotted),
        "aB3dE5gH7jK9mN1pQ3sT5v.W7xY9zA1cD3eF5gH7jK9mN1pQ3sT5vW7xY9zA1c",
        "txt",
    ),
    row("Twilio", &["SK"], Exactly(32, Hex), HEX32, "0123456789abcdef"),
    row("DigitalOcean", &["dop_v1_", "doo_v1_", "dor_v1_"], AtLeast(64, Hex), HEX64, HEX40),
    row(
        "Hugging Face",
        &["hf_", "api_org_"],
        Mixed(30, Alnum),
        MIXED36,
        "transformersdownloadcachedirectory",
    ),
    row("Shopify", &["shpat_", "shpca_", "shppa_", "shpss_"], AtLeast(32, Hex), HEX32, "0123"),
    row("Square", &["sq0atp-", "sq0csp-", "sq0idp-"], AtLeast(22, Base64Url), MIXED24, "short"),
    row("Mailgun", &["key-"], Exactly(32, Hex), HEX32, "0123456789abcdef"),
    row("Databricks", &["dapi"], AtLeast(32, Hex), HEX32, "0123"),
    row("Doppler", &["dp.pt.", "dp.st.", "dp.ct.", "dp.sa."], AtLeast(40, Dotted), MIXED48, "short"),
    row("Vault", &["hvs.", "hvb.", "hvr."], AtLeast(24, Base64Url), MIXED24, "short"),
    row("Linear", &["lin_api_", "lin_oauth_"], AtLeast(40, Alnum), MIXED48, "short"),
    row("Notion", &["ntn_"], Mixed(40, Alnum), MIXED48, "short"),
    row("Figma", &["figd_", "figu_"], AtLeast(36, Base64Url), MIXED48, "short"),
    row("Postman", &["PMAK-"], AtLeast(50, Base64Url), MIXED96, "short"),
    row("New Relic", &["NRAK-", "NRJS-"], AtLeast(19, Alnum), MIXED24, "short"),
    row("Grafana", &["glsa_", "glc_"], AtLeast(32, Dotted), MIXED48, "short"),
    row("Sentry", &["sntrys_", "sntryu_"], AtLeast(40, Dotted), HEX64, "short"),
    row("Pulumi", &["pul-"], Exactly(40, Hex), HEX40, HEX32),
    row("Fly.io", &["fo1_", "fm1r_", "fm2_"], AtLeast(40, Dotted), MIXED48, "short"),
    row("Supabase", &["sbp_", "sb_secret_"], AtLeast(24, Word), HEX40, "short"),
    row(
        "PlanetScale",
        &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
        AtLeast(32, Dotted),
        MIXED48,
        "short",
    ),
    row("Docker Hub", &["dckr_pat_", "dckr_oat_"], AtLeast(20, Base64Url), MIXED24, "short"),
    row("RubyGems", &["rubygems_"], AtLeast(48, Hex), HEX64, "0123"),
    row("crates.io", &["cio"], Exactly(32, Alnum), "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD", "aB3dE5"),
    row("Replicate", &["r8_"], Mixed(36, Alnum), MIXED36, "short"),
    row("Groq", &["gsk_"], AtLeast(40, Alnum), MIXED48, "short"),
    row("xAI", &["xai-"], AtLeast(40, Alnum), MIXED48, "short"),
    row("Perplexity", &["pplx-"], AtLeast(40, Alnum), MIXED48, "short"),
    row("Tailscale", &["tskey-"], AtLeast(20, Base64Url), MIXED24, "short"),
    row("1Password", &["ops_ey"], AtLeast(40, Base64Url), MIXED48, "short"),
    row("Atlassian", &["ATATT3", "ATCTT3"], AtLeast(60, Dotted), MIXED96, "short"),
    row("Buildkite", &["bkua_"], AtLeast(40, Hex), HEX40, "0123"),
    row("CircleCI", &["CCIPAT_", "CCIPRJ_"], AtLeast(40, Word), MIXED48, "short"),
    row("Artifactory", &["AKCp"], AtLeast(60, Alnum), MIXED96, "short"),
    row("Dropbox", &["sl.B", "sl.u."], AtLeast(80, Dotted), MIXED96, "short"),
    Vendor {
        name: "age",
        prefixes: &["AGE-SECRET-KEY-1"],
        body: AtLeast(50, Capitals),
        kind: Secret::Key,
        example: "ABCDEFGHIJ234567ABCDEFGHIJ234567ABCDEFGHIJ234567ABCDEFGHIJ",
        near_miss: "ABC",
    },
];

pub(super) fn find(found: &mut Found<'_>) {
    find_prefixed(found);
    find_json_web_tokens(found);
}

fn find_prefixed(found: &mut Found<'_>) {
    let text = found.text;
    // Where a row failed on a long run of bytes it fails on the rest of that run, too.
    let mut failed_until = [0; VENDORS.len()];
    let mut at = 0;
    while at < text.len() {
        step(1);
        if !BEGINS_PREFIX[text[at] as usize] || is_inside_word(text, at) {
            at += 1;
            continue;
        }
        at = token_at(text, at, &mut failed_until).map_or(at + 1, |(end, kind)| {
            found.push(at..end, kind);
            end
        });
    }
}

/// The bytes that any prefix begins with: most words are passed over by a look at their first.
const BEGINS_PREFIX: [bool; 256] = {
    let mut begins = [false; 256];
    let mut row = 0;
    while row < VENDORS.len() {
        let mut place = 0;
        while place < VENDORS[row].prefixes.len() {
            begins[VENDORS[row].prefixes[place].as_bytes()[0] as usize] = true;
            place += 1;
        }
        row += 1;
    }
    begins
};

/// Returns the end of the token that begins at `at`.
fn token_at(text: &[u8], at: usize, failed_until: &mut [usize]) -> Option<(usize, Secret)> {
    VENDORS.iter().zip(failed_until).find_map(|(vendor, failed_until)| {
        let rest = &text[at..];
        let is_there =
            |prefix: &&&str| rest[0] == prefix.as_bytes()[0] && rest.starts_with(prefix.as_bytes());
        let prefix = vendor.prefixes.iter().find(is_there)?;
        if at < *failed_until {
            return None;
        }
        let begin = at + prefix.len();
        let (end, is_token) = vendor.body.read(text, begin);
        if !is_token {
            *failed_until = end;
        }
        is_token.then_some((end, vendor.kind))
    })
}

impl Body {
    /// Reads from `begin` on; returns how far it looked, and whether that is the body of a token.
    fn read(self, text: &[u8], begin: usize) -> (usize, bool) {
        match self {
            Self::Exactly(length, kind) => {
                let end = forward_at_most(text, begin, length + 1, |byte| kind.holds(byte));
                let is_word_over = text.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
                // It looked at a bounded stretch only: nothing is said about what begins within.
                if end == begin + length && is_word_over { (end, true) } else { (begin, false) }
            }
            Self::AtLeast(length, kind) => {
                let end = forward(text, begin, |byte| kind.holds(byte));
                (end, end >= begin + length)
            }
            Self::Mixed(length, kind) => {
                let end = forward(text, begin, |byte| kind.holds(byte));
                let body = &text[begin..end];
                let is_mixed = body.iter().any(u8::is_ascii_digit) && body.iter().any(u8::is_ascii_uppercase);
                (end, body.len() >= length && is_mixed)
            }
        }
    }
}

/// Finds `eyJ….eyJ….…`: two JSON objects and a signature in base64 (RFC 7519), the signature maybe empty.
fn find_json_web_tokens(found: &mut Found<'_>) {
    let text = found.text;
    let mut done = 0;
    step(text.len());
    for at in memmem::find_iter(text, "eyJ") {
        if at < done || is_inside_word(text, at) {
            continue;
        }
        let header_end = forward(text, at, |byte| Base64Url.holds(byte));
        if !text[header_end..].starts_with(b".eyJ") {
            done = header_end;
            continue;
        }
        let claims_end = forward(text, header_end + 1, |byte| Base64Url.holds(byte));
        let is_signed = text.get(claims_end) == Some(&b'.');
        let end =
            if is_signed { forward(text, claims_end + 1, |byte| Base64Url.holds(byte)) } else { claims_end };
        found.push(at..end, Secret::Token);
        done = end;
    }
}
