//! What karod says, followed from its own memory.

use std::fs::{self, File};
use std::process::{Child, Command};

use karo_tests::binaries::binaries;
use karo_tests::{Karo, until};

/// A `karoctl` that stays; dropped, it is ended.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.kill().expect("it is our child");
        self.0.wait().expect("it is our child");
    }
}

#[test]
fn whoever_follows_hears_of_a_restart_and_goes_on() {
    let mut karo = Karo::running();
    let (out, err) = (karo.root().join("out"), karo.root().join("err"));
    let mut command: Command = karo.command(&binaries().karoctl);
    command.args(["logs", "--follow", "--ring", "--event", "accepting"]);
    command.stdout(File::create(&out).expect("the places are ours"));
    command.stderr(File::create(&err).expect("the places are ours"));
    let _follower = Follower(command.spawn().expect("karoctl can be run"));
    let read = |path| fs::read_to_string(path).expect("the places are ours");
    let wait_for = |count| {
        until("each start is shown once", || {
            (read(&out).matches("accepting: accepting").count() == count).then_some(())
        });
    };
    wait_for(1);
    assert!(karo.stop().success());
    until("the end is told", || read(&err).contains("karod is gone").then_some(()));
    karo.launch();
    wait_for(2);
    assert!(read(&err).contains("karod is there again"), "{}", read(&err));
}
