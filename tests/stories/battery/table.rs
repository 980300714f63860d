//! The fifty: what the attackers do, and what the worlds are compared for.

use karo_protocol::Category;

use super::Play;
use super::world::{HALF, Scenario, Secret, WHOLE};

/// What a victim does who is in a sum, and what another of the same sum does.
const EXCHANGED: &str = "which of two owners in the same sums did what";

/// What a victim does who is in no sum.
const ALL_OF_IT: &str = "everything that the victim did";

pub(super) const SCENARIOS: [Scenario; 50] = [
    // Of sixteen: the linear attack of four questions, in five orders.
    Scenario {
        name: "P u Q, P u R, Q u R u v, P",
        compares: ALL_OF_IT,
        closes: 2,
        play: |play| linear(play, ["p+q", "p+r", "q+r+v", "p"]),
        ..WHOLE
    },
    Scenario {
        name: "Q u R u v first",
        compares: EXCHANGED,
        secret: Secret::Swap(7),
        closes: 2,
        play: |play| linear(play, ["q+r+v", "p+q", "p+r", "p"]),
        ..WHOLE
    },
    Scenario {
        name: "P first, and the victim last",
        compares: ALL_OF_IT,
        closes: 3,
        play: |play| linear(play, ["p", "p+q", "p+r", "q+r+v"]),
        ..WHOLE
    },
    // Pairs.
    Scenario {
        name: "with the victim, then without",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        play: |play| pair(play, "all", "less", |_| {}),
        ..HALF
    },
    Scenario {
        name: "without the victim, then with",
        compares: ALL_OF_IT,
        play: |play| pair(play, "less", "all", |_| {}),
        ..HALF
    },
    Scenario {
        name: "five with the victim, then eight",
        compares: EXCHANGED,
        secret: Secret::Swap(3),
        play: |play| pair(play, "few", "all", |_| {}),
        ..HALF
    },
    Scenario {
        name: "six, and six with the victim in the place of one",
        compares: ALL_OF_IT,
        play: |play| pair(play, "with-6", "with-7", |_| {}),
        ..HALF
    },
    Scenario {
        name: "the same, the victim first",
        compares: EXCHANGED,
        secret: Secret::Swap(4),
        play: |play| pair(play, "with-7", "with-6", |_| {}),
        ..HALF
    },
    Scenario {
        name: "half a pair by each of two askers",
        compares: EXCHANGED,
        secret: Secret::Swap(5),
        play: |play| {
            play.close("all", 0);
            play.close("less", 1);
            play.ask_at("all", 0);
            play.ask_at("less", 1);
        },
        ..HALF
    },
    Scenario {
        name: "three groups one after the other",
        compares: EXCHANGED,
        secret: Secret::Swap(2),
        play: |play| {
            for group in ["few", "with-7", "all"] {
                play.close(group, 0);
                play.ask(group);
            }
        },
        ..HALF
    },
    // Restarts.
    Scenario {
        name: "a pair, and the asker starts anew in between",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        play: |play| pair(play, "all", "less", |play| play.restart(0)),
        ..HALF
    },
    Scenario {
        name: "a pair, and the victim starts anew in between",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        play: |play| pair(play, "all", "with-7", |play| play.restart(7)),
        ..HALF
    },
    Scenario {
        name: "a pair, and the other who adds up starts anew in between",
        compares: ALL_OF_IT,
        play: |play| pair(play, "less", "all", |play| play.restart(2)),
        ..HALF
    },
    Scenario {
        name: "the asker starts anew before the same question",
        compares: "what the victim alone used",
        secret: Secret::Category,
        play: |play| {
            play.close("all", 0);
            play.ask("all");
            play.restart(1);
            play.ask("all");
        },
        ..HALF
    },
    Scenario {
        name: "the victim starts anew before the closing",
        compares: "what the victim alone used",
        secret: Secret::Category,
        play: |play| {
            play.restart(7);
            once(play);
        },
        ..HALF
    },
    // Repeats.
    Scenario {
        name: "closed three times, asked five times",
        compares: EXCHANGED,
        secret: Secret::Swap(5),
        closes: 3,
        play: |play| {
            for by in [0, 1, 0] {
                play.close("all", by);
                play.ask("all");
            }
            play.ask("all");
            play.ask("all");
        },
        ..HALF
    },
    Scenario {
        name: "asked again after the victim deleted the day",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        closes: 2,
        play: |play| {
            play.close("all", 0);
            play.ask("all");
            play.delete(7);
            play.close("all", 1);
            play.ask("all");
        },
        ..HALF
    },
    Scenario {
        name: "another group after the victim deleted the day",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        play: |play| pair(play, "all", "with-7", |play| play.delete(7)),
        ..HALF
    },
    Scenario {
        name: "the victim deletes the day before it is closed",
        compares: "everything that the victim deleted",
        play: |play| {
            play.delete(7);
            once(play);
        },
        ..HALF
    },
    Scenario {
        name: "asked again after more of the victim's day has come",
        compares: EXCHANGED,
        secret: Secret::Swap(3),
        closes: 2,
        play: |play| {
            play.close("all", 0);
            play.ask("all");
            play.late(7, &[("git fetch", 0), ("psql -l", 0)]);
            play.close("all", 0);
            play.ask("all");
        },
        ..HALF
    },
    Scenario {
        name: "another group after more of the victim's day has come",
        compares: EXCHANGED,
        secret: Secret::Swap(2),
        play: |play| pair(play, "few", "with-7", |play| play.late(7, &[("git fetch", 0)])),
        ..HALF
    },
    // Ranges.
    Scenario {
        name: "nested ranges within the day",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        play: |play| {
            play.close("all", 0);
            for range in [(0, 24), (9, 10), (10, 11), (9, 12), (0, 12), (12, 24), (20, 21), (10, 24), (0, 1)]
            {
                play.ask_range("all", 0, range, false);
            }
        },
        ..HALF
    },
    Scenario {
        name: "nested ranges of two days, of which one was closed",
        compares: ALL_OF_IT,
        days: 2,
        play: |play| {
            play.close("all", 0);
            for range in [(0, 24), (0, 48), (24, 48), (12, 36), (23, 25)] {
                play.ask_range("all", 1, range, false);
            }
        },
        ..HALF
    },
    Scenario {
        name: "the night alone, in which only the victim was at work",
        compares: "in which hour of the night the victim was at work",
        secret: Secret::Hour,
        play: |play| {
            play.close("all", 0);
            for range in [(0, 24), (3, 4), (4, 5), (0, 6), (2, 24)] {
                play.ask_range("all", 0, range, false);
            }
        },
        ..HALF
    },
    // Hidden cells against totals.
    Scenario {
        name: "categories against the hours",
        compares: "what the victim alone used",
        secret: Secret::Category,
        play: once,
        ..HALF
    },
    // The second team begins here.
    Scenario {
        name: "P u R, Q u R u v, P u Q, P",
        compares: EXCHANGED,
        secret: Secret::Swap(7),
        closes: 2,
        play: |play| linear(play, ["p+r", "q+r+v", "p+q", "p"]),
        ..WHOLE
    },
    Scenario {
        name: "the linear attack after all sixteen",
        compares: EXCHANGED,
        secret: Secret::Swap(11),
        play: |play| {
            play.close("everybody", 0);
            play.ask("everybody");
            linear(play, ["p+q", "p+r", "q+r+v", "p"]);
        },
        ..WHOLE
    },
    Scenario {
        name: "ok against failed",
        compares: "whether what the victim did went well",
        secret: Secret::Outcome,
        play: once,
        ..HALF
    },
    Scenario {
        name: "the name of a program",
        compares: "which private program the victim used",
        secret: Secret::Program,
        play: once,
        ..HALF
    },
    Scenario {
        name: "the hours against categories",
        compares: "when the victim was at work",
        secret: Secret::Hour,
        play: once,
        ..HALF
    },
    Scenario {
        name: "durations against counts",
        compares: "how long the victim's command took",
        secret: Secret::Duration,
        play: once,
        ..HALF
    },
    Scenario {
        name: "four of eight",
        compares: "whether the victim is one of four",
        secret: Secret::Fourth,
        play: once,
        ..HALF
    },
    Scenario {
        name: "four of five",
        compares: "whether the victim did what the rest of five did",
        secret: Secret::Fourth,
        play: |play| {
            play.close("few", 0);
            play.ask("few");
        },
        ..HALF
    },
    Scenario {
        name: "two of five work together",
        compares: "which of three did what",
        secret: Secret::Swap(3),
        play: |play| {
            play.close("few", 1);
            play.ask("few");
        },
        ..HALF
    },
    Scenario {
        name: "against the period before",
        compares: EXCHANGED,
        secret: Secret::Swap(4),
        days: 2,
        closes: 2,
        play: |play| {
            play.close("all", 0);
            play.go_on();
            play.close("all", 0);
            for by in [0, 1] {
                play.ask_range("all", by, (0, 24), true);
            }
        },
        ..HALF
    },
    // Who contributes.
    Scenario {
        name: "the victim shares nothing",
        compares: ALL_OF_IT,
        play: |play| {
            play.share(7, false);
            once(play);
            play.share(7, true);
        },
        ..HALF
    },
    Scenario {
        name: "the victim shares again, and the day is closed again",
        compares: ALL_OF_IT,
        closes: 2,
        play: |play| {
            play.share(7, false);
            once(play);
            play.share(7, true);
            once(play);
        },
        ..HALF
    },
    Scenario {
        name: "the victim shares again, and another group is closed",
        compares: ALL_OF_IT,
        play: |play| {
            play.share(7, false);
            once(play);
            play.share(7, true);
            play.close("with-7", 1);
            play.ask("with-7");
        },
        ..HALF
    },
    Scenario {
        name: "the victim stops sharing after the closing",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        play: |play| {
            pair(play, "all", "less", |play| play.share(7, false));
            play.share(7, true);
        },
        ..HALF
    },
    Scenario {
        name: "the victim denies a category",
        compares: "how often the victim did what is kept back",
        secret: Secret::Often,
        play: |play| {
            play.deny(7, &[Category::Database]);
            once(play);
            play.deny(7, &[]);
        },
        ..HALF
    },
    Scenario {
        name: "the victim denies a category after the closing",
        compares: EXCHANGED,
        secret: Secret::Swap(5),
        closes: 2,
        play: |play| {
            once(play);
            play.deny(7, &[Category::Vcs]);
            once(play);
            play.close("with-7", 0);
            play.ask("with-7");
            play.deny(7, &[]);
        },
        ..HALF
    },
    Scenario {
        name: "one of five gives nothing, so that four are left",
        compares: ALL_OF_IT,
        closes: 0,
        play: |play| {
            play.share(3, false);
            play.close("few", 0);
            play.ask("few");
            play.share(3, true);
        },
        ..HALF
    },
    Scenario {
        name: "the fifth comes after all",
        compares: EXCHANGED,
        secret: Secret::Swap(2),
        play: |play| {
            play.share(3, false);
            play.close("few", 0);
            play.ask("few");
            play.share(3, true);
            play.close("few", 1);
            play.ask("few");
        },
        ..HALF
    },
    Scenario {
        name: "four are left, and they are in a larger group as well",
        compares: ALL_OF_IT,
        closes: 0,
        play: |play| {
            play.share(3, false);
            play.close("few", 0);
            play.close("all", 1);
            play.ask("few");
            play.ask("all");
            play.share(3, true);
        },
        ..HALF
    },
    // Leaving and joining.
    Scenario {
        name: "the victim leaves before, and joins after",
        compares: ALL_OF_IT,
        closes: 2,
        play: |play| {
            play.leave(7, "all");
            once(play);
            play.join(7, "all");
            once(play);
        },
        ..HALF
    },
    Scenario {
        name: "the victim leaves after, and joins again",
        compares: EXCHANGED,
        secret: Secret::Swap(6),
        closes: 2,
        play: |play| {
            once(play);
            play.leave(7, "all");
            play.ask("all");
            play.join(7, "all");
            once(play);
        },
        ..HALF
    },
    Scenario {
        name: "the asker leaves, joins, and fetches what it has missed",
        compares: "what the victim alone used",
        secret: Secret::Category,
        play: |play| {
            play.leave(1, "all");
            play.close("all", 0);
            play.ask_at("all", 1);
            play.join(1, "all");
            play.ask("all");
        },
        ..HALF
    },
    Scenario {
        name: "the attackers leave the group of five, and three are left",
        compares: ALL_OF_IT,
        closes: 0,
        play: |play| {
            play.leave(1, "few");
            play.close("few", 0);
            play.ask_at("few", 0);
            play.join(1, "few");
        },
        ..HALF
    },
    // Several at once, and not at all.
    Scenario {
        name: "three groups by two askers, and who adds up starts anew in between",
        compares: EXCHANGED,
        secret: Secret::Swap(3),
        play: |play| {
            play.close("few", 0);
            play.close("with-7", 1);
            play.restart(2);
            play.close("all", 1);
            for group in ["all", "with-7", "few"] {
                play.ask(group);
            }
        },
        ..HALF
    },
    Scenario {
        name: "asked without being closed",
        compares: ALL_OF_IT,
        closes: 0,
        play: |play| {
            for group in ["all", "less", "few"] {
                play.ask(group);
            }
        },
        ..HALF
    },
];

/// Closes a day of eight, and asks.
fn once(play: &mut Play<'_>) {
    play.close("all", 0);
    play.ask("all");
}

/// Closes two groups that have owners in common, with something in between.
fn pair(play: &mut Play<'_>, first: &str, second: &str, between: fn(&mut Play<'_>)) {
    play.close(first, 0);
    play.ask(first);
    between(play);
    play.close(second, 0);
    play.ask(second);
}

/// Closes four groups of sixteen in some order. Of what has no attacker in it they hear over a member that is theirs.
fn linear(play: &mut Play<'_>, order: [&str; 4]) {
    for group in order {
        let by = if group == "q+r+v" { 5 } else { 0 };
        play.close(group, by);
    }
    for group in order {
        match group {
            "q+r+v" => play.ask_at(group, 5),
            _ => play.ask(group),
        }
    }
}
