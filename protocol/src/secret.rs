//! What kinds of secrets there are, and the markers that stand where one was cut out.

use std::ops::Range;

use crate::named_enum;

named_enum! {
    /// What a redaction took out.
    ///
    /// New kinds come last: the index of each stands on the wire and on disk.
    Secret, "kind of secret" {
        /// A password or passphrase.
        Password = "password",
        /// A token or API key.
        Token = "token",
        /// The value of a variable whose name says that it is secret.
        Variable = "variable",
        /// A private key or the like.
        Key = "key",
        /// A private key in a block of text: PEM, OpenSSH, PGP, PuTTY.
        PrivateKey = "private-key",
        /// A JSON web token.
        Jwt = "jwt",
        /// The password in a URL.
        UrlPassword = "url-password",
        /// The value of a cookie.
        Cookie = "cookie",
        /// The hash of a password, which is as good as one.
        Hash = "hash",
        /// The name that opens a device to SNMP.
        Community = "community",
        /// A one-time code.
        Pin = "pin",
        /// An address that is a secret itself: who knows it may post there.
        Webhook = "webhook",
        /// What has the randomness of a secret and no other reason to have it.
        Random = "random",
        /// What a pattern of the user's own describes.
        Custom = "custom",
        /// A key of Amazon Web Services.
        Aws = "aws-key",
        /// A key of Microsoft Azure.
        Azure = "azure-key",
        /// A key of Google.
        Google = "google-key",
        /// A token of GitHub.
        GitHub = "github-token",
        /// A token of GitLab.
        GitLab = "gitlab-token",
        /// A token of Atlassian: Jira, Bitbucket.
        Atlassian = "atlassian-token",
        /// A token of Slack.
        Slack = "slack-token",
        /// A token of a service for talk: Discord, Telegram.
        Chat = "chat-token",
        /// A key of Stripe.
        Stripe = "stripe-key",
        /// A key of another service for payments.
        Payment = "payment-key",
        /// A key of Twilio.
        Twilio = "twilio-key",
        /// A key of a service that sends mail or messages.
        Mail = "mail-key",
        /// A token of npm.
        Npm = "npm-token",
        /// A token of PyPI.
        Pypi = "pypi-token",
        /// A token of another registry of packages or images.
        Registry = "registry-token",
        /// A key of OpenAI.
        OpenAi = "openai-key",
        /// A key of Anthropic.
        Anthropic = "anthropic-key",
        /// A key of another service of language models.
        Model = "model-key",
        /// A token of another cloud or host: DigitalOcean, Heroku, Fly.
        Cloud = "cloud-token",
        /// A token of Cloudflare.
        Cloudflare = "cloudflare-token",
        /// A key of a service that holds data.
        Database = "database-key",
        /// A key of a service that watches others.
        Monitoring = "monitoring-key",
        /// A token of a service that builds and tests.
        Build = "build-token",
        /// A key of a service that knows who is who.
        Identity = "identity-key",
        /// A token of HashiCorp Vault.
        Vault = "vault-token",
        /// A token of a tool that sets up machines.
        Infrastructure = "infrastructure-token",
        /// A key of a private network.
        Network = "network-key",
        /// A token of a shop.
        Shop = "shop-token",
        /// A token of a social network.
        Social = "social-token",
        /// A token of a service for work: Notion, Linear, Figma.
        Work = "work-token",
        /// A token of a service that keeps files.
        Storage = "storage-token",
        /// A key of a service for maps.
        Map = "map-key",
    }
}

/// The markers of the first stores: `[redacted:KIND]`. They are left as they are wherever they stand.
const OLD_MARKERS: [(&str, Secret); 4] = [
    ("[redacted:password]", Secret::Password),
    ("[redacted:token]", Secret::Token),
    ("[redacted:variable]", Secret::Variable),
    ("[redacted:key]", Secret::Key),
];

const OPENS: &[u8] = "‹secret:".as_bytes();
const CLOSES: &[u8] = "›".as_bytes();

/// Bytes of the longest name of a kind, with room to spare.
const NAME_BYTES_MAX: usize = 32;

/// Returns the marker that stands for a secret of that kind: `‹secret:aws-key›`.
///
/// Quotes, `=`, `:`-separated URLs and shell words keep their shape around it.
pub fn marker(kind: Secret) -> String {
    format!("‹secret:{kind}›")
}

/// Finds the markers that stand in a text, in order, those of older stores among them.
pub fn markers(text: &[u8]) -> Vec<(Range<usize>, Secret)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(length) = text[at..].iter().position(|byte| *byte == OPENS[0] || *byte == b'[') {
        at += length;
        match marker_at(&text[at..]) {
            Some((length, kind)) => {
                found.push((at..at + length, kind));
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Returns the length of the marker that a text begins with, and its kind.
fn marker_at(text: &[u8]) -> Option<(usize, Secret)> {
    if text.first() == Some(&b'[') {
        let (marker, kind) = OLD_MARKERS.iter().find(|(marker, _)| text.starts_with(marker.as_bytes()))?;
        return Some((marker.len(), *kind));
    }
    let rest = text.strip_prefix(OPENS)?;
    let length = rest.iter().take(NAME_BYTES_MAX).position(|byte| *byte == CLOSES[0])?;
    if !rest[length..].starts_with(CLOSES) {
        return None;
    }
    let kind = Secret::ALL.iter().find(|kind| kind.name().as_bytes() == &rest[..length])?;
    Some((OPENS.len() + length + CLOSES.len(), *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_is_found_again() {
        for kind in Secret::ALL {
            assert!(kind.name().len() < NAME_BYTES_MAX);
            let marker = marker(*kind);
            let text = format!("‹a{marker}{marker}[redacted:{marker}");
            let (first, length) = ("‹a".len(), marker.len());
            let second = first + length;
            let third = second + length + "[redacted:".len();
            let places = [first, second, third].map(|at| (at..at + length, *kind));
            assert_eq!(markers(text.as_bytes()), places);
        }
        assert_eq!(markers(b"[redacted:token][redacted:x]"), [(0..16, Secret::Token)]);
        assert_eq!(markers("‹secret:nothing› ‹secret:token ‹secret:".as_bytes()), []);
    }

    #[test]
    fn the_first_kinds_keep_their_index() {
        let first = ["password", "token", "variable", "key", "private-key", "jwt", "url-password"];
        assert_eq!(Secret::ALL[..7].iter().map(|kind| kind.name()).collect::<Vec<_>>(), first);
    }
}
