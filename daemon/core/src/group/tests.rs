use karo_protocol::group::{COHORT_MIN, Card, GROUP_TOOLS_MAX, GroupFile, Member, SealingKey, ToolName};
use karo_protocol::node::{Hash, NodeId, Nonce, Signature};
use karo_protocol::{Category, Risk};

use super::*;
use crate::public::public;

/// A group of that many owners with a machine each, of which all may add up.
pub(crate) fn group_of(owners: usize) -> GroupFile {
    GroupFile {
        name: "team".to_owned(),
        lineage: Nonce([7; 16]),
        version: 1,
        zone: "Europe/Berlin".to_owned(),
        smallest_cohort: COHORT_MIN,
        members: (0..owners).map(member).collect(),
        tools: Vec::new(),
        rules: Vec::new(),
    }
}

/// The machine of one owner.
pub(crate) fn member(owner: usize) -> Member {
    Member {
        card: Card {
            node: NodeId(key(owner, 1)),
            sealing: SealingKey(Hash(key(owner, 2))),
            proof: Signature([3; 64]),
        },
        name: format!("machine-{owner}"),
        owner: format!("owner {owner}"),
        contributes: true,
        may_aggregate: true,
        addresses: vec![format!("10.0.0.{}:9238", owner % 250 + 1)],
    }
}

fn key(owner: usize, kind: u8) -> [u8; 32] {
    let mut key = [kind; 32];
    key[..8].copy_from_slice(&(owner as u64).to_be_bytes());
    key
}

/// Names of the public list, in order.
const TOOLS: &str = "\
    abcde aclpwn adig agda aha akmods alr anbox apfsd appman arch aria2c arthas asr atftp atq auditd \
    ava awsume b3sum barman batcat bchunk beef bench bhyve biome black blkcat bnepd bower bpytop bro \
    bsdtar btm buck2 bunx byacc bzip2 cabal calc capsh cava ccls cdktf cfssl chafa chcat chez chntpw \
    chpst chvt circup clangd cli53 cloudd cmd codium column confd copyq cpan cpuid crc cross cscli \
    csso csync2 cupp cuyo cypher dapr datree dcg ddd delta detox dget dict dir ditaa dmake dnf4 doas \
    dokku dotnet dracut drutil dtc duc dutree dysk echo efetch einfo elixir ember \
";

/// So many tools, of all categories in turn.
pub(crate) fn tools(count: usize) -> Vec<(ToolName, Category)> {
    let names: Vec<ToolName> = TOOLS.split_whitespace().map(|name| public(name).expect(name)).collect();
    names.into_iter().zip(Category::ALL.iter().copied().cycle()).take(count).collect()
}

/// The name of one of them.
pub(crate) fn tool(place: usize) -> &'static str {
    TOOLS.split_whitespace().nth(place).expect("there are so many")
}

/// So many rules, of all levels in turn.
pub(crate) fn rules(count: usize) -> Vec<(String, Risk)> {
    (0..count).map(|rule| (format!("rule{rule:02}"), Risk::ALL[rule % Risk::ALL.len()])).collect()
}

fn check(change: impl FnOnce(&mut GroupFile)) -> Result<(), GroupRefused> {
    let mut file = group_of(6);
    change(&mut file);
    Group::check(Hash([9; 32]), file).map(|_| ())
}

#[test]
fn a_plain_file_is_a_group() {
    assert_eq!(check(|_| ()), Ok(()));
    assert_eq!(check(|file| file.tools = tools(GROUP_TOOLS_MAX)), Ok(()));
    assert_eq!(check(|file| file.zone = "UTC".to_owned()), Ok(()));
}

#[test]
fn each_rule_of_the_file_refuses() {
    let two_machines = |file: &mut GroupFile| file.members[5].owner = "owner 4".to_owned();
    let contributors = GroupRefused::Contributors { owner: "owner 4".to_owned(), machines: 2 };
    assert_eq!(check(two_machines), Err(contributors));
    assert_eq!(
        check(|file| file.members[0].contributes = false),
        Err(GroupRefused::Contributors { owner: "owner 0".to_owned(), machines: 0 })
    );
    assert_eq!(check(|file| file.smallest_cohort = 4), Err(GroupRefused::Cohort(4)));
    assert_eq!(check(|file| file.smallest_cohort = 7), Err(GroupRefused::Owners { owners: 6, smallest: 7 }));
    assert_eq!(
        check(|file| file.members[1].owner = "Owner 0".to_owned()),
        Err(GroupRefused::OwnersAlike("owner 0".to_owned(), "Owner 0".to_owned()))
    );
    assert_eq!(check(|file| file.members.swap(0, 1)), Err(GroupRefused::MemberOrder));
    assert_eq!(check(|file| file.members[1] = file.members[0].clone()), Err(GroupRefused::MemberOrder));
    assert_eq!(
        check(|file| file.members[1].name = "machine-0".to_owned()),
        Err(GroupRefused::MemberName("machine-0".to_owned()))
    );
    assert_eq!(
        check(|file| file.members[1].card.sealing = file.members[0].card.sealing),
        Err(GroupRefused::SealingKey("machine-1".to_owned()))
    );
    assert_eq!(
        check(|file| file.members[0].addresses = vec!["10.0.0.1".to_owned()]),
        Err(GroupRefused::Addresses("machine-0".to_owned()))
    );
    let only_one_adds_up =
        |file: &mut GroupFile| file.members[1..].iter_mut().for_each(|member| member.may_aggregate = false);
    assert_eq!(check(only_one_adds_up), Err(GroupRefused::Aggregators));
    for zone in ["", "../etc/passwd", "/etc/passwd", "Europe//Berlin", "Europe/Ber lin", &"a".repeat(65)] {
        assert_eq!(check(|file| file.zone = zone.to_owned()), Err(GroupRefused::Zone), "{zone}");
    }
    assert_eq!(check(|file| file.name = "two words".to_owned()), Err(GroupRefused::Name));
    assert_eq!(check(|file| file.version = 0), Err(GroupRefused::Version));
    assert_eq!(check(|file| file.tools = tools(97)), Err(GroupRefused::Tools));
    let foreign = serde_json::from_str("\"acme-merger-2027\"").expect("it has the form of a name");
    assert_eq!(
        check(|file| file.tools = vec![(foreign, Category::Vcs)]),
        Err(GroupRefused::NotPublic("acme-merger-2027".to_owned()))
    );
    let twice = |file: &mut GroupFile| {
        file.tools = tools(1);
        file.tools.push((file.tools[0].0.clone(), Category::Security));
    };
    assert_eq!(check(twice), Err(GroupRefused::Tools));
    assert_eq!(check(|file| file.rules = rules(65)), Err(GroupRefused::Rules));
    assert_eq!(check(|file| file.rules = vec![("a\u{1b}".to_owned(), Risk::Low)]), Err(GroupRefused::Rules));
}

#[test]
fn puppets_of_one_owner_are_refused() {
    // Four fresh keys of an attacker and one victim: five machines, and two people.
    let puppets = |file: &mut GroupFile| {
        file.members.truncate(5);
        file.members[..4].iter_mut().for_each(|puppet| puppet.owner = "mallory".to_owned());
    };
    let refused = GroupRefused::Contributors { owner: "mallory".to_owned(), machines: 4 };
    assert_eq!(check(puppets), Err(refused));
    let one_contributes = |file: &mut GroupFile| {
        puppets(file);
        file.members[1..4].iter_mut().for_each(|puppet| puppet.contributes = false);
    };
    assert_eq!(check(one_contributes), Err(GroupRefused::Owners { owners: 2, smallest: COHORT_MIN }));
}

#[test]
fn the_two_that_add_up_are_of_two_owners_and_nobody_chooses_them() {
    let mut file = group_of(6);
    // Half of the machines that may add up are one owner's.
    let more =
        (10..16).map(|machine| Member { owner: "owner 0".to_owned(), contributes: false, ..member(machine) });
    file.members.extend(more);
    let group = Group::check(Hash([9; 32]), file).expect("a group");
    let mut seen = BTreeSet::new();
    for day in 0..200 {
        let (first, second) = group.aggregators(day).expect("two");
        assert_eq!(group.aggregators(day), Some((first, second)));
        let owner = |node| &group.member(node).expect("a member").owner;
        assert_ne!(owner(&first), owner(&second));
        seen.insert(first);
    }
    assert!(seen.len() > 6, "the turn goes around: {}", seen.len());
}

#[test]
fn the_rank_is_as_the_design_says() {
    let group = Group::check(Hash([9; 32]), group_of(5)).expect("a group");
    let rank = |node: &NodeId| {
        let mut bytes = b"karo agg".to_vec();
        bytes.extend([9; 32]);
        bytes.extend(20_000_i32.to_be_bytes());
        bytes.extend(node.0);
        *blake3::hash(&bytes).as_bytes()
    };
    let mut nodes: Vec<NodeId> = group.file().members.iter().map(|member| member.card.node).collect();
    nodes.sort_by_key(rank);
    assert_eq!(group.aggregators(20_000), Some((nodes[0], nodes[1])));
}

#[test]
fn machines_of_one_owner_know_one_another() {
    let mut file = group_of(5);
    file.members.push(Member { owner: "owner 2".to_owned(), contributes: false, ..member(9) });
    let group = Group::check(Hash([9; 32]), file).expect("a group");
    let (own, other) = (member(2).card.node, member(9).card.node);
    let siblings = |node: &NodeId| group.siblings(node).map(|member| member.card.node).collect::<Vec<_>>();
    assert_eq!((siblings(&own), siblings(&other)), (vec![other], vec![own]));
    assert_eq!(siblings(&member(0).card.node), []);
    assert_eq!(siblings(&NodeId([0xee; 32])), []);
    assert_eq!(group.contributor_of("owner 2").map(|member| member.card.node), Some(own));
    // The machine that feeds another is nobody in a cohort.
    let nodes: Vec<NodeId> = [0, 1, 3, 4, 9].map(|machine| member(machine).card.node).into();
    assert_eq!(group.cohort(&nodes), Err(TooFew { owners: 4, smallest: 5 }));
}

#[test]
fn a_difference_is_told_in_sentences() {
    let says = |before: Option<&GroupFile>, after: &GroupFile| {
        diff(before, after).into_iter().map(|difference| difference.says).collect::<Vec<_>>()
    };
    let before = group_of(5);
    assert_eq!(says(Some(&before), &before), ["It is not newer: version 1 after version 1."]);
    assert!(says(None, &before).contains(&"A number needs 5 owners.".to_owned()));
    let mut after = group_of(6);
    after.version = 2;
    after.smallest_cohort = 6;
    after.members.remove(1);
    after.members[0].card.sealing = SealingKey(Hash([0xaa; 32]));
    after.members[2].may_aggregate = false;
    after.tools = tools(1);
    assert_eq!(
        says(Some(&before), &after),
        [
            "A number needed 5 owners and needs 6 from here on.",
            "owner 5 is in the group.",
            "owner 1 has left the group.",
            "machine-0 has another sealing key.",
            "machine-5 gives the numbers of owner 5.",
            "machine-1, a machine of owner 1, has left the group.",
            "machine-3 of owner 3 may no longer add up.",
            "machine-5 of owner 5 may add up.",
            "The tool abcde, as shell, has a number of its own.",
        ]
    );
}
