//! A whole closing in one process: nodes, a network that can lose and repeat, and those who do not keep to the rules.

mod simulation;
mod world;

use karo_protocol::atom::AtomReason;

use self::world::World;

#[test]
fn five_owners_close_an_atom() {
    let mut world = World::new(5, 1);
    world.open();
    world.run();
    world.check();
    assert_eq!(world.closed().len(), 1);
    assert_eq!(world.faults(), []);
}

#[test]
fn four_owners_do_not() {
    let mut world = World::new(5, 2);
    world.decline(4, AtomReason::NotSharing);
    world.open();
    world.run();
    assert_eq!(world.closed(), []);
    assert!(world.ended(world.leader()).contains(&AtomReason::TooFew));
    assert!(world.ended(world.helper()).contains(&AtomReason::TooFew));
}
