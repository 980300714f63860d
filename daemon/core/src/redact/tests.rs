use proptest::prelude::*;

use super::flags::FLAGS;
use super::scan::steps_of;
use super::vendors::VENDORS;
use super::*;
use karo_protocol::event::{Secret, marker};

fn redacted(text: &str) -> String {
    let (command, redactions) = redact(&RawCommand::new(text));
    for redaction in &redactions {
        let span = &command.as_bytes()[redaction.start as usize..redaction.end as usize];
        assert_eq!(span, marker(redaction.kind).as_bytes());
    }
    String::from_utf8(command.as_bytes().to_vec()).expect("what was UTF-8 stays UTF-8")
}

/// Checks a line whose secrets are `CANARY` and words that begin so; in `expected` a `#` stands for a marker.
fn check(text: &str, expected: &str) {
    let mut shown = redacted(text);
    for kind in Secret::ALL {
        shown = shown.replace(&marker(*kind), "#");
    }
    assert_eq!(shown, expected, "{text}");
}

fn untouched(text: &str) {
    check(text, text);
}

/// Draws numbers by a seed: the same ones in each run (SplitMix64).
fn dice(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    }
}

/// Returns an example of a row: mixed as it wants to be.
fn example(vendor: &vendors::Vendor, draw: &mut impl FnMut(usize) -> usize) -> (String, String) {
    loop {
        let (head, body) = vendor.shape.example(draw);
        if shape::is_mixed(body.as_bytes()) || !vendor.shape.wants_mixed() {
            return (head, body);
        }
    }
}

#[test]
fn every_vendor_row_finds_its_example_and_not_its_near_miss() {
    let mut draw = dice(3);
    let mut wrong = Vec::new();
    let table = include_str!("vendors.tsv").lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(VENDORS.rows.len(), table, "each line is a row");
    for vendor in &VENDORS.rows {
        for prefix in &vendor.prefixes {
            let (head, body) = example(vendor, &mut draw);
            let token = format!("{head}{prefix}{body}");
            for (before, after) in
                [("", ""), ("deploy --with ", " now"), ("echo '", "'"), ("x=(", ")"), ("a_", "")]
            {
                if before == "a_" && (vendor.shape.has_head() || prefix.starts_with("pa")) {
                    continue;
                }
                let shown = redacted(&format!("{before}{token}{after}"));
                let secret = if body.is_empty() { &head } else { &body };
                let keeps_rest = shown.starts_with(before) && shown.ends_with(after);
                if shown.contains(secret.as_str()) || !keeps_rest {
                    wrong.push(format!("{}: {prefix} became {shown}", vendor.name));
                }
            }
            let near_miss = format!("echo {prefix}{}", vendor.near_miss);
            if redacted(&near_miss) != near_miss {
                wrong.push(format!("{near_miss} became {}", redacted(&near_miss)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_flag_row_finds_its_example_and_not_its_near_miss() {
    let lines = include_str!("flags.tsv").lines();
    let table =
        lines.filter(|line| !line.starts_with('#') && !line.starts_with('@') || line.contains('\t')).count();
    assert_eq!(FLAGS.rows.len(), table - 1, "each line is a row");
    let mut wrong = Vec::new();
    for flag in &FLAGS.rows {
        if flag.example != "-" {
            for secret in ["CANARY", "'CANARY!'", "\"CANARY.x\"", "CAN\u{e4}ARY"] {
                let example = flag.example.replace("'CANARYx1!'", "CANARYx1").replace("'CANARY'", "CANARY");
                let example = example.replace("CANARY", secret);
                for line in [
                    example.clone(),
                    format!("cd x && sudo {example}; ls"),
                    format!("bash -c {}", quoted(&example)),
                ] {
                    if redacted(&line).contains("CAN") {
                        wrong.push(format!("{line} became {}", redacted(&line)));
                    }
                }
            }
        }
        if redacted(flag.near_miss) != flag.near_miss {
            wrong.push(format!("{} became {}", flag.near_miss, redacted(flag.near_miss)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Puts a text between single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[test]
fn values_of_secret_names_are_cut() {
    check("export DB_PASSWORD=CANARY", "export DB_PASSWORD=#");
    check("API_KEY='CAN ARY' ./run", "API_KEY='#' ./run");
    check("TOKEN=\"CAN\\\"ARY\" x", "TOKEN=\"#\" x");
    check("docker run -e SECRET=CANARY -e \"PASS=CAN ARY\" x", "docker run -e SECRET=# -e \"PASS=#\" x");
    check("env MY_TOKEN=CAN\\ ARY x; y", "env MY_TOKEN=# x; y");
    check("bash -c 'PASS=CANARY ./run --fast'", "bash -c 'PASS=# ./run --fast'");
    check("curl 'https://x/?token=CANARY&b=1'", "curl 'https://x/?token=#&b=1'");
    check("curl -d 'user=bob&password=CANARY'", "curl -d 'user=bob&password=#'");
    check("psql 'host=x password=CANARY user=y'", "psql 'host=x password=# user=y'");
    check("java -Dspring.datasource.password=CANARY -jar x", "java -Dspring.datasource.password=# -jar x");
    check(
        "kubectl create secret generic x --from-literal=password=CANARY",
        "kubectl create secret generic x --from-literal=password=#",
    );
    check("curl -d '{\"password\": \"CAN ARY\", \"a\": 1}'", "curl -d '{\"password\": \"#\", \"a\": 1}'");
    check(
        "curl -d \"{\\\"api_key\\\":\\\"CANARY\\\",\\\"a\\\":1}\"",
        "curl -d \"{\\\"api_key\\\":\\\"#\\\",\\\"a\\\":1}\"",
    );
    check("curl -H 'X-Api-Key: CAN ARY' x", "curl -H 'X-Api-Key: #' x");
    check("curl --header \"PRIVATE-TOKEN: CANARY\" x", "curl --header \"PRIVATE-TOKEN: #\" x");
    check("PASS='$CANARY' x", "PASS='#' x");
    check("PASS=${X:-CANARY} x", "PASS=# x");
    check("PASSWORD=CANARY", "PASSWORD=#");
    check("cat <<E\nTOKEN=CANARY\nuser=bob\nE", "cat <<E\nTOKEN=#\nuser=bob\nE");
    check("TOKEN=\"CAN ARY", "TOKEN=\"#");
    check("http POST x user[password]=CANARY", "http POST x user[password]=#");
}

#[test]
fn what_a_name_only_talks_about_stays() {
    untouched("export PASSWORD_FILE=/run/secrets/db");
    untouched("PASSWORD=/run/secrets/db TOKEN=./token.txt KEY_FILE=x");
    untouched("TOKEN=$TOKEN PASS=\"${PASS}\" SECRET=$(pass show x) ./run");
    untouched("USE_TOKEN=true TOKEN= SECRET='' PASS=0");
    untouched("if [ \"$PASS\" = x ]; then echo; fi");
    untouched("[[ $TOKEN == x ]]");
    untouched("awk 'token==1'");
    untouched("export PWD=/tmp COMPASS=north MAX_TOKENS=4096");
    untouched("git commit -m 'token: fix the parser'");
    untouched("scp token:/tmp/x .");
    untouched("grep password= /etc/x");
    untouched("echo 'don\\'t' PATH=/usr/bin:/bin");
}

#[test]
fn options_with_secret_names_are_cut() {
    check("x --password CANARY y", "x --password # y");
    check("x --password=CANARY y", "x --password=# y");
    check("x --api-key 'CAN ARY'", "x --api-key '#'");
    check("keytool -list -storepass CANARY", "keytool -list -storepass #");
    check("aws configure set aws_secret_access_key CANARY", "aws configure set aws_secret_access_key #");
    check("set -gx GITHUB_TOKEN CANARY", "set -gx GITHUB_TOKEN #");
    check("setenv MY_SECRET CANARY", "setenv MY_SECRET #");
    check(
        "npm config set //registry.npmjs.org/:_authToken CANARY",
        "npm config set //registry.npmjs.org/:_authToken #",
    );
    check("tool -u bob:CANARY x", "tool -u bob:# x");
    untouched("x --password --verbose");
    untouched("docker login --password-stdin host");
    untouched("ansible-playbook --ask-pass site.yml");
    untouched("x --token $TOKEN --secret-name foo");
    untouched("docker run -u 1000:1000 -u root:root x");
    untouched("id -u root; sqlmap -u http://x/");
    untouched("chown -u 10:20 x");
    untouched("socat -u tcp-connect:host:port open:x");
    untouched("alias pwd='pwd -P'");
    check("mysql -pCANARYpass db", "mysql -p# db");
}

#[test]
fn urls_keep_their_shape() {
    check("git clone https://bob:CANARY@example.org/x.git", "git clone https://bob:#@example.org/x.git");
    check("psql postgres://bob:CAN@ARY@host/db", "psql postgres://bob:#@host/db");
    check("psql postgres://bob:CAN/ARY#@host/db", "psql postgres://bob:#@host/db");
    check("redis-cli -u redis://:CANARY@host", "redis-cli -u redis://:#@host");
    check("git push https://CANARY0123456789abcdef@host/x", "git push https://#@host/x");
    check("curl -x 'http://a:CANARY@p:1' 'http://b:CANARY@q'", "curl -x 'http://a:#@p:1' 'http://b:#@q'");
    untouched("curl http://localhost:8080/@x");
    untouched("git clone git@github.com:a/b.git ssh://git@host/x");
    untouched("curl https://bob:$PASS@host/ https://host/a:b@c");
    untouched("curl http://[::1]:80/a@b");
}

#[test]
fn keys_and_headers_are_cut() {
    let key =
        "echo '-----BEGIN OPENSSH PRIVATE KEY-----\nCANARY\nCANARY\n-----END OPENSSH PRIVATE KEY-----' > x";
    check(key, "echo '-----BEGIN OPENSSH PRIVATE KEY-----\n#\n-----END OPENSSH PRIVATE KEY-----' > x");
    check("x -----BEGIN PGP PRIVATE KEY BLOCK-----CANARY", "x -----BEGIN PGP PRIVATE KEY BLOCK-----#");
    untouched("x -----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----");
    check("curl -H 'Authorization: Bearer CANARY' x", "curl -H 'Authorization: Bearer #' x");
    check("curl -H \"authorization: CANARY\" x", "curl -H \"authorization: #\" x");
    check("curl -H Authorization:\\ Basic\\ CANARY x", "curl -H Authorization:\\ Basic\\ # x");
    check("http x Authorization:\"Token CAN ARY\"", "http x Authorization:\"Token #\"");
    check(
        "curl -H 'Authorization: Digest username=\"CANARY\", response=\"CANARY\"' x",
        "curl -H 'Authorization: Digest #' x",
    );
    check("x '{\"Authorization\": \"Bearer CANARY\"}'", "x '{\"Authorization\": \"Bearer #\"}'");
    check(
        "git -c http.extraheader='AUTHORIZATION: bearer CANARY' fetch",
        "git -c http.extraheader='AUTHORIZATION: bearer #' fetch",
    );
    check("curl -H 'X: Bearer CANARY12' x", "curl -H 'X: Bearer #' x");
    untouched("curl -H \"Authorization: Bearer $TOKEN\" x");
    untouched("grep -i 'authorization: basic' log");
    untouched("man bearer authentication");
}

#[test]
fn markers_are_left_as_they_are() {
    for text in [
        "PASS=[redacted:variable]",
        "x --password [redacted:password]",
        "https://[redacted:token]:[redacted:password]@host",
        "curl -u bob:[redacted:password]",
        "-----BEGIN RSA PRIVATE KEY-----[redacted:key]-----END RSA PRIVATE KEY-----",
        "[redacted:token]",
    ] {
        let (command, redactions) = redact(&RawCommand::new(text));
        assert_eq!(command.as_bytes(), text.as_bytes());
        assert!(redactions.is_empty(), "{text}");
    }
    check("PASS=[redacted:token]CANARY", "PASS=[redacted:token]#");
    check("PASS=‹secret:token›CANARY", "PASS=##");
}

#[test]
fn what_a_program_reads_is_cut() {
    check("echo CANARY | sudo -S ls", "echo # | sudo -S ls");
    check("echo 'CAN ARY' | ssh h 'sudo -S ls'", "echo '#' | ssh h 'sudo -S ls'");
    check("chpasswd <<< bob:CANARY", "chpasswd <<< bob:#");
    check("passwd bob <<E\nCANARY\nCANARY\nE", "passwd bob <<E\n#\n#\nE");
    check("echo -e \"CANARY\\nCANARY\" | passwd bob", "echo -e \"#\\n#\" | passwd bob");
    check("printf 'A_PASS=%s\\n' CANARY > x", "printf 'A_PASS=%s\\n' # > x");
    check("echo CANARY7 > db_password.txt", "echo # > db_password.txt");
    check("docker login -p $(echo CANARY) h", "docker login -p $(echo #) h");
    untouched("echo hello | base64; echo done > token.log; echo aGVsbG8gd29ybGQK | base64 -d");
    untouched("echo $PASS | sudo -S ls; cat x | sudo -S tee y; chpasswd < users");
}

#[test]
fn other_languages_in_a_line_are_read() {
    check("mysql -e \"ALTER USER a IDENTIFIED BY 'CANARY'\"", "mysql -e \"ALTER USER a IDENTIFIED BY '#'\"");
    check("psql -c \"ALTER USER a PASSWORD 'CANARY'\"", "psql -c \"ALTER USER a PASSWORD '#'\"");
    check(
        "expect -c 'spawn su; expect \"assword:\"; send \"CANARY\\r\"'",
        "expect -c 'spawn su; expect \"assword:\"; send \"#\\r\"'",
    );
    check("echo '<password>CANARY</password>' > x", "echo '<password>#</password>' > x");
    check("echo 'machine h login bob password CANARY' > x", "echo 'machine h login bob password #' > x");
    check(
        "php -r 'new PDO(\"mysql:\", \"bob\", \"CANARY\");'",
        "php -r 'new PDO(\"mysql:\", \"bob\", \"#\");'",
    );
    untouched("mysql -e 'select password from users'; git commit -m 'how to set DB_PASSWORD and more'");
}

#[test]
fn scripts_that_a_line_only_writes_are_read() {
    check("echo 'mysql -uroot -pCANARY1' > run.sh", "echo 'mysql -uroot -p#' > run.sh");
    check("cat > x.sh <<'E'\ncurl -u bob:CANARY1 h\nE", "cat > x.sh <<'E'\ncurl -u bob:# h\nE");
    untouched("git commit -m 'zip: take -P and a password'");
}

#[test]
fn randomness_alone_is_cut() {
    let token: String = ["aB3dE5gH7jK9", "mN1pQ3sT5vW7"].concat();
    check(&format!("deploy {token} now"), "deploy # now");
    check(&format!("X={token} run"), "X=# run");
    for near in [
        format!("git checkout {}", "0123456789abcdef".repeat(2)),
        format!("cat /tmp/{token}/x"),
        format!("docker pull x@sha256:{}", "0123456789abcdef".repeat(4)),
        format!("curl https://h/{token}"),
        format!("cp {token}.jpg x"),
    ] {
        untouched(&near);
    }
}

#[test]
fn a_user_adds_patterns_and_spares_texts() {
    let expressions = |texts: &[&str]| -> Vec<Expression> {
        texts.iter().map(|text| Expression::new(text).expect("the expression is sound")).collect()
    };
    let redactor =
        Redactor::new(expressions(&["acme_[0-9]+", "door (\\d+)"]), expressions(&["hunter2", "door 9"]));
    let cases = [
        ("x acme_123 door 42", "x ‹secret:custom› door ‹secret:custom›"),
        ("PASS=hunter2 x", "PASS=hunter2 x"),
        ("PASS=hunter22 x", "PASS=‹secret:variable› x"),
    ];
    for (text, expected) in cases {
        let raw = RawCommand::new(text);
        let redacted = redactor.redact(&raw, &parse(text.as_bytes()));
        assert_eq!(redacted.command.as_bytes(), expected.as_bytes());
        assert_eq!(redacted.reasons.len(), redacted.redactions.len());
    }
}

#[test]
fn the_truncation_flag_is_kept() {
    let (command, _) = redact(&RawCommand::with_flag("PASS=x", true));
    assert!(command.is_truncated());
}

/// Pieces of lines that finders react to, to be put together in any way.
fn fragments() -> impl Strategy<Value = String> {
    let pieces: Vec<String> = [
        "PASS=",
        "token=",
        "\"password\":",
        "X-Api-Key:",
        "--password ",
        "-u a:",
        "mysql -p",
        "curl -u ",
        "://",
        "http://",
        "@",
        ":",
        "=",
        "'",
        "\"",
        "\\",
        " ",
        "\n",
        ";",
        "&",
        "|",
        "(",
        ")",
        "$(",
        "${",
        "`",
        "$X",
        "/",
        "#",
        "Authorization: ",
        "Bearer ",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END ",
        "eyJ",
        ".eyJ",
        ".",
        "-",
        "sk-",
        "xoxb-",
        "ghp_",
        "hunter2",
        "[redacted:token]",
        "[redacted:",
        "password]",
        "login ",
        "docker ",
        "set ",
        "<<E\n",
        "E\n",
        "\u{e9}",
        "pass:",
        "%",
        "openssl -pass ",
        "true",
        "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA1cD3eF5",
    ]
    .map(String::from)
    .to_vec();
    proptest::collection::vec(proptest::sample::select(pieces), 0..24).prop_map(|pieces| pieces.concat())
}

fn assert_twice_is_once(text: &[u8]) {
    let (once, _) = redact(&RawCommand::new(text));
    let (twice, redactions) = redact(&RawCommand::new(once.as_bytes()));
    assert_eq!(twice.as_bytes(), once.as_bytes(), "{}", String::from_utf8_lossy(text));
    assert!(redactions.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn redacting_twice_changes_nothing(text in fragments()) {
        assert_twice_is_once(text.as_bytes());
    }

    #[test]
    fn utf8_stays_utf8(text in fragments(), tail in "\\PC{0,20}") {
        redacted(&format!("{text}{tail}"));
    }

    #[test]
    fn any_bytes_are_redacted_once(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        assert_twice_is_once(&text);
    }

    #[test]
    fn canaries_never_survive(before in "[a-z ;|&.,-]{0,20}", canary in "[A-Za-z0-9!%+]{8,24}", after in "[ ;\n][a-z ;|]{0,20}") {
        prop_assume!(!before.contains("ch") && !values::is_plain(canary.as_bytes()) && !before.contains(canary.as_str()));
        for form in [
            "export MY_TOKEN=", "DB_PASSWORD='", "curl https://bob:", "x --password ", "mysql -p", "sshpass -p ", "tool -u bob:",
            "curl -H 'Authorization: Bearer ", "-----BEGIN RSA PRIVATE KEY-----\n",
        ] {
            let close = match form {
                _ if form.contains('\'') => "'",
                _ if form.contains("://") => "@host",
                _ => "",
            };
            let line = format!("{before}\n{form}{canary}{close}{after}");
            prop_assert!(!redacted(&line).contains(&canary), "{line:?} became {:?}", redacted(&line));
        }
    }
}

/// Every finder's worst texts: one piece repeated many times.
#[test]
fn the_work_is_linear_for_any_text() {
    let pieces = [
        "PASS=",
        "PASS=$(",
        "PASS=\"",
        "\"pass\":",
        "X-Api-Key:",
        "x --password ",
        "-u a:",
        "mysql -p",
        "a://b:c",
        "a://b:c/",
        "a://",
        "://",
        "@",
        "'",
        "\"",
        "\\",
        "$(",
        "${",
        "`",
        "(",
        ")",
        "sudo ",
        "sudo -u ",
        "Authorization: ",
        "authorization",
        "Bearer ",
        "bearer",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN ",
        "eyJ-",
        "eyJ.",
        "eyJ",
        ".eyJ-eyJ",
        "sk-",
        "sk-a-",
        "xoxb-",
        "SG.",
        "ghp_",
        "hf_hf_",
        "<<E\n",
        "[redacted:token]",
        "[redacted:",
        "PASS=[redacted:token]x",
        "PASS=/a/",
        "a=",
        "a:",
        "token",
        "-----END",
        "set token ",
        "http://a:b@",
        "http://a:b/c",
        "\u{e9}",
        "PASS=\"a\\\"",
        "{{",
        "\"$(",
        "docker login ",
        "eyJ.eyJ.",
        "PASS=${",
        "-p'",
        "x 'a ",
    ];
    let steps = |head: &str, piece: &str, length: usize| {
        let raw = RawCommand::new(format!("{head}{}", piece.repeat((length - 16) / piece.len())));
        steps_of(|| drop(redact(&raw)))
    };
    for piece in pieces {
        for head in ["", "mysql ", "'", "\"", "$("] {
            let (short, long) = (steps(head, piece, 2048), steps(head, piece, 8192));
            assert!(
                long < 5 * short && long < 200 * 8192,
                "{piece:?} after {head:?}: {short}, then {long} steps"
            );
        }
    }
}
