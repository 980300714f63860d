use karo_protocol::node::Hash;

use super::*;
use crate::atom::rule::visible;
use crate::group::tests::{group_of, member, rules, tools};

fn group(owners: usize) -> Group {
    let mut file = group_of(owners);
    file.tools = tools(33);
    file.rules = rules(3);
    Group::check(Hash([9; 32]), file).expect("a group")
}

/// An atom of eight owners, in which a cell's owners are its place among all, up to eight.
fn atom(group: &Group) -> Atom {
    let sums: Vec<Vec<u64>> = group
        .parts()
        .iter()
        .map(|part| (0..part.owners() as u64).map(|place| place.min(8)).collect())
        .collect();
    let owners = OwnerSums::new(group, sums).expect("of the group");
    let mask = visible(group, &owners);
    let values: Vec<Vec<u64>> = group.parts().iter().map(|part| vec![40; mask.values(*part).len()]).collect();
    let values = ValueSums::new(group, &mask, &values).expect("of the mask");
    let nodes: Vec<NodeId> = (0..8).map(|owner| member(owner).card.node).collect();
    let cohort = group.cohort(&nodes).expect("eight owners");
    let aggregators = group.aggregators(20_000).expect("two");
    release(group, 20_000, aggregators, &cohort, &mask, &owners, &values)
}

#[test]
fn what_is_hidden_has_neither_value_nor_band() {
    let group = group(8);
    let atom = atom(&group);
    assert_eq!(check(&group, &atom), Ok(()));
    for cell in group.layout().cells().iter().copied() {
        let is_hidden = band_of(&atom, cell) == Band::Hidden;
        for place in cell.value().into_iter().chain(cell.duration()) {
            assert_eq!(value_at(&atom, cell.part(), place).is_none(), is_hidden, "{cell:?}");
        }
    }
    assert_eq!(
        band_of(&atom, Cell::Category(karo_protocol::Category::ALL[1], super::super::layout::End::Ok)),
        Band::Hidden
    );
}

#[test]
fn sums_of_other_cells_are_no_sums() {
    let group = group(8);
    let shape = |part: &Part| vec![0; part.owners()];
    let good: Vec<Vec<u64>> = group.parts().iter().map(shape).collect();
    assert!(OwnerSums::new(&group, good.clone()).is_ok());
    let mut more = good.clone();
    more[0][0] = 9;
    assert_eq!(OwnerSums::new(&group, more), Err(Misshapen));
    assert_eq!(OwnerSums::new(&group, good[1..].to_vec()), Err(Misshapen));
    let owners = OwnerSums::new(&group, good).expect("of the group");
    let mask = visible(&group, &owners);
    // Nobody did anything: there is nothing to tell, and a value that is told all the same is refused.
    let mut values: Vec<Vec<u64>> = group.parts().iter().map(|_| Vec::new()).collect();
    assert!(ValueSums::new(&group, &mask, &values).is_ok());
    values[0].push(1);
    assert_eq!(ValueSums::new(&group, &mask, &values), Err(Misshapen));
}

#[test]
fn what_is_no_atom_of_the_group_is_refused() {
    let group = group(8);
    let good = atom(&group);
    let refused = |change: &dyn Fn(&mut Atom)| {
        let mut atom = good.clone();
        change(&mut atom);
        check(&group, &atom)
    };
    assert_eq!(refused(&|atom| atom.group = Hash([1; 32])), Err(AtomRefused::OtherGroup));
    assert_eq!(
        refused(&|atom| std::mem::swap(&mut atom.aggregators.0, &mut atom.aggregators.1)),
        Err(AtomRefused::Aggregators)
    );
    assert_eq!(refused(&|atom| atom.contributors = 4), Err(AtomRefused::Cohort));
    assert_eq!(refused(&|atom| atom.contributors = 9), Err(AtomRefused::Cohort));
    assert_eq!(refused(&|atom| atom.owners = 7), Err(AtomRefused::Cohort));
    assert_eq!(refused(&|atom| atom.parts.truncate(2)), Err(AtomRefused::Shape));
    assert_eq!(refused(&|atom| atom.parts[0].values.push(None)), Err(AtomRefused::Shape));
    assert_eq!(refused(&|atom| atom.parts[0].values[0] = Some(1)), Err(AtomRefused::Hidden));
    assert_eq!(refused(&|atom| atom.parts[0].owners[0] = Band::Five), Err(AtomRefused::Hidden));
    assert_eq!(refused(&|atom| atom.parts[3].owners[63] = Band::Five), Err(AtomRefused::Hidden));
    assert_eq!(refused(&|atom| atom.parts[0].owners[20] = Band::Fifty), Err(AtomRefused::Sums));
    assert_eq!(refused(&|atom| atom.parts[0].values[63 + 9] = Some(u64::MAX)), Err(AtomRefused::Sums));
}
