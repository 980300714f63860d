use proptest::prelude::*;

use super::*;

fn check(text: &str, category: Category, tools: &str) {
    let classified = classify(text.as_bytes());
    assert_eq!(classified.category, category, "{text}");
    assert_eq!(classified.tools.join(" "), tools, "{text}");
    assert!(classified.categories.contains(category), "{text}");
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
    check("docker run --rm -it alpine sh", Category::Container, "docker");
    check("kubectl get pods | grep web", Category::Container, "kubectl grep");
    check("terraform plan", Category::Cloud, "terraform");
    check("psql -h db", Category::Database, "psql");
    check("ssh host 'rm -rf /'", Category::Remote, "ssh");
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
    check("./deploy.sh prod", Category::Other, "deploy.sh");
    check("", Category::Other, "");
}

#[test]
fn the_most_telling_category_wins_whatever_the_order() {
    check("cd x; curl -O y; nmap z", Category::Security, "cd curl nmap");
    check("nmap z; curl -O y; cd x", Category::Security, "nmap curl cd");
    let all: Vec<_> = classify(b"cd x; curl -O y; ./zz").categories.iter().collect();
    assert_eq!(all, [Category::Shell, Category::Network, Category::Other]);
}

#[test]
fn the_order_of_telling_names_every_category_once() {
    let all: CategorySet = TELLING.into_iter().collect();
    assert_eq!(all.iter().count(), Category::ALL.len());
}

#[test]
fn what_is_no_name_is_no_tool() {
    check("$EDITOR x", Category::Other, "");
    check("[redacted:token]", Category::Other, "");
    check(&"x".repeat(TOOL_BYTES_MAX + 1), Category::Other, "");
    let many: String = (0..100).map(|n| format!("p{n};")).collect();
    assert_eq!(classify(many.as_bytes()).tools.len(), TOOLS_MAX);
}

proptest! {
    #[test]
    fn any_bytes_have_a_category(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let classified = classify(&text);
        prop_assert!(classified.categories.contains(classified.category));
        prop_assert!(classified.tools.len() <= TOOLS_MAX);
    }

    #[test]
    fn any_shell_like_text_has_a_category(text in "[-a-z ;|&()<>'\"`$\\\\{}\n#=!/]{0,200}") {
        let classified = classify(text.as_bytes());
        prop_assert!(classified.categories.contains(classified.category));
    }
}
