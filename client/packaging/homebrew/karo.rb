# Builds the source of a release, which lies beside this file. ./release.sh writes it there with its checksum.
class Karo < Formula
  desc "Records the commands of your shells on your own machine, and finds them again"
  homepage "file://#{__dir__}"
  url "file://#{__dir__}/karo-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args(path: "daemon")
    # The clients alone and with a profile of their own: with the daemon they would have its features.
    system "cargo", "install", "--profile", "client", *std_cargo_args(path: "client")
    generate_completions_from_executable(bin/"karoctl", "completions")
    system bin/"karoctl", "man", buildpath/"man"
    man1.install Dir["man/*.1"], "daemon/packaging/karod.1", "client/packaging/karo-observe.1"
    pkgshare.install Dir["shell/karo.*"]
    doc.install "README.md", "CHANGELOG.md", "docs"
  end

  def caveats
    <<~TEXT
      Nothing was started and no shell was touched. To begin:
        karoctl setup
    TEXT
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/karod --version")
    assert_match "complete", shell_output("#{bin}/karoctl completions bash")
    # It never disturbs a prompt, whatever is wrong.
    system bin/"karo-observe", "nonsense"
  end
end
