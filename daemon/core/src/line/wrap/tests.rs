use super::*;

#[test]
fn names_are_said_once() {
    let mut names: Vec<&str> = table::all().flat_map(|row| row.names.split(", ")).collect();
    names.sort_unstable();
    let doubled: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(names.iter().all(|name| !name.is_empty() && name.trim() == *name));
}
