use proptest::prelude::*;

use super::*;
use crate::line;

fn classified(text: &str) -> Classified {
    classify(&line::parse(text.as_bytes()))
}

fn check(text: &str, category: Category, tools: &str) {
    let classified = classified(text);
    assert_eq!(classified.category, category, "{text}");
    assert_eq!(classified.tools.join(" "), tools, "{text}");
    assert!(classified.categories.contains(category), "{text}");
}

/// Checks the row that decides about the first run.
fn check_row(text: &str, row: &str) {
    assert_eq!(classified(text).runs[0].row, row, "{text}");
}

#[test]
fn common_lines_are_of_the_category_that_one_expects() {
    check("ls -la", Category::File, "ls");
    check("cd /tmp", Category::Shell, "cd");
    check("vim notes.txt", Category::Editor, "vim");
    check("git commit -m 'docker: fix'", Category::Vcs, "git");
    check("cargo build --release", Category::Build, "cargo");
    check("python3 x.py", Category::Runtime, "python3");
    check("sudo apt-get install -y nmap", Category::Package, "sudo apt-get");
    check("sudo -i", Category::Identity, "sudo");
    check("docker run --rm -it alpine sh", Category::Container, "docker sh");
    check("kubectl get pods | grep web", Category::Container, "kubectl grep");
    check("terraform plan", Category::Cloud, "terraform");
    check("psql -h db", Category::Database, "psql");
    check("ssh host 'rm -rf /'", Category::Remote, "ssh rm");
    check("nmap -sV 10.0.0.1", Category::Security, "nmap");
    check(
        "./configure --prefix=/usr && make -j4 && sudo make install",
        Category::Build,
        "configure make sudo",
    );
    check("cat x | sort | uniq -c", Category::Text, "cat sort uniq");
    check("ps aux | grep sshd", Category::Process, "ps grep");
    check("systemctl restart nginx", Category::System, "systemctl");
    check("tar xzf a.tgz", Category::Archive, "tar");
    check("for f in *.wav; do ffmpeg -i $f; done", Category::Media, "ffmpeg");
    check("A=1", Category::Shell, "");
    check("./deploy prod", Category::Other, "deploy");
}

#[test]
fn the_longest_row_decides() {
    check_row("python3 -m http.server 80", "python -m http.server");
    check_row("python3.12 -W ignore -m pip install x", "python -m pip");
    check_row("docker --context far compose up", "docker compose");
    check_row("./manage.py migrate app", "manage.py migrate");
    check_row("python manage.py migrate app", "manage.py migrate");
    check_row("python manage.py shell", "manage.py");
    check_row("python test.py", "python");
    check_row("python3 /opt/sqlmap.py -u x", "sqlmap");
    check_row("python CVE_2019_15107.py http://x", "CVE_*");
    check_row("bash ./deploy.sh", "bash");
    check_row("./deploy.sh", "*.sh");
    check_row("php8.2 x", "php");
    check_row("gcc-14 x.c", "gcc");
    check_row("git-frobnicate", "git-*");
    check_row("mkfs.reiserfs /dev/sda", "mkfs.*");
    check_row("notepad.exe x", "notepad");
    check_row("npx eslint .", "eslint");
    check_row("npx frobnicate", "npx");
    check_row("poetry run python manage.py migrate", "manage.py migrate");
    check_row("poetry run bash", "poetry run");
    check_row("java -cp x -jar burpsuite.jar", "burpsuite");
    check_row("Get-ChildItem -Recurse", "get-childitem");
    check_row("git -C /srv push", "git push");
    check_row("cargo +nightly install x", "cargo install");
    check_row("/etc/init.d/ssh restart", "/etc/init.d/*");
    check_row("2048", "");
}

#[test]
fn the_most_telling_category_wins_whatever_the_order() {
    check("cd x; curl -O y; nmap z", Category::Security, "cd curl nmap");
    check("nmap z; curl -O y; cd x", Category::Security, "nmap curl cd");
    let all: Vec<_> = classified("cd x; curl -O y; ./zz").categories.iter().collect();
    assert_eq!(all, [Category::Shell, Category::Network, Category::Other]);
}

#[test]
fn what_only_helps_another_run_tells_less() {
    let check = |text, category| assert_eq!(classified(text).category, category, "{text}");
    check("history | grep x", Category::Shell);
    check("echo x | base64 -d", Category::Text);
    check("cat x | grep y", Category::Text);
    check("curl x | jq .", Category::Network);
    check("tar czf $(hostname).tgz x", Category::Archive);
    check("x=$(hostname)", Category::Network);
    check("docker run -u $(id -u) x", Category::Container);
    check("docker logs name|id", Category::Container);
    check("ssh host 'nmap x'", Category::Remote);
    check("docker exec db psql", Category::Container);
    check("strace curl x", Category::Process);
    check("find . -exec rm {} +", Category::File);
    check("find . | xargs -0 convert", Category::Media);
    check("nohup ./x &", Category::Process);
    check("sudo nohup ./x", Category::Process);
    check("sudo ./x", Category::Identity);
    check("sudo bash -c 'apt update'", Category::Package);
    check("sudo claude", Category::Other);
}

#[test]
fn what_is_no_name_is_no_tool() {
    check("$CMD x", Category::Other, "");
    check("[redacted:token]", Category::Other, "");
    check(&"x".repeat(TOOL_BYTES_MAX + 1), Category::Other, "");
    let many: String = (0..100).map(|n| format!("p{n};")).collect();
    assert_eq!(classified(&many).tools.len(), TOOLS_MAX);
}

proptest! {
    #[test]
    fn any_bytes_have_a_category(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let line = line::parse(&text);
        let classified = classify(&line);
        prop_assert!(classified.categories.contains(classified.category));
        prop_assert!(classified.tools.len() <= TOOLS_MAX);
        prop_assert_eq!(classified.runs.len(), line.runs.len());
    }

    #[test]
    fn any_shell_like_text_has_a_category(text in "[-a-z ;|&()<>'\"`$\\\\{}\n#=!/]{0,200}") {
        let classified = classified(&text);
        prop_assert!(classified.categories.contains(classified.category));
    }
}

/// Returns the shares of lines with the exact and with an acceptable category.
fn shares(labelled: &str) -> (f64, f64) {
    let (mut lines, mut exact, mut acceptable) = (0_u32, 0_u32, 0_u32);
    for label in labelled.lines() {
        let label: serde_json::Value = serde_json::from_str(label).unwrap();
        let category = classified(label["cmd"].as_str().unwrap()).category.name();
        lines += 1;
        exact += u32::from(label["exact"] == category);
        acceptable += u32::from(label["acceptable"].as_array().unwrap().iter().any(|one| one == category));
    }
    (f64::from(exact) / f64::from(lines), f64::from(acceptable) / f64::from(lines))
}

#[test]
fn categories_are_what_a_person_says() {
    let (exact, acceptable) = shares(include_str!("../../../../tests/data/categories/set.jsonl"));
    assert!(exact >= 0.88, "{exact}");
    assert!(acceptable >= 0.94, "{acceptable}");
}
