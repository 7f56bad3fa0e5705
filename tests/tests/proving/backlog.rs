//! What a member wants is made of the group as it is after the whole backlog.

use quicproquo_client::simulation::Move;
use quicproquo_client::{Role, Suite};
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::proving::{Kind, World};

const ALICE: usize = 0;
const BOB: usize = 1;
const DAVE: usize = 2;

/// Alice is away and wants Dave in the group; meanwhile Bob adds him and removes him again. The
/// two commits come to her one by one, or while her link breaks between them.
async fn wanted_meanwhile(breaks: bool) {
    let mut world = World::new(0, 3).await;
    let [alice, bob, dave] = world.keys()[..] else { panic!("three members") };
    let made = world.ask(ALICE, None, Kind::Create(vec![bob], Suite::Native)).await;
    world.rest_well().await;
    let group = world.operations[made].group.clone();
    world.ask(ALICE, group.clone(), Kind::Promote(bob, Role::Admin)).await;
    world.rest_well().await;

    let node = world.sim.node().clone();
    node.cut_off(&alice, true);
    node.drop_link(&alice);
    world.ask(ALICE, group.clone(), Kind::Invite(vec![dave])).await;
    world.ask(BOB, group.clone(), Kind::Invite(vec![dave])).await;
    world.rest().await;
    world.ask(BOB, group.clone(), Kind::Remove(vec![dave])).await;
    world.rest().await;

    let pushes = move |a_move: &Move| matches!(a_move, Move::Push(to, _) if *to == alice);
    node.cut_off(&alice, false);
    let mut rows = 0;
    loop {
        world.rest_but(pushes).await;
        let push = node.moves(&[alice]).into_iter().find(&pushes);
        let Some(push) = push else { break };
        let said = node.make(push, 1);
        world.tell(&said);
        world.quiet().await;
        rows += 1;
        if breaks && rows == 1 {
            node.drop_link(&alice);
        }
    }
    assert!(rows >= 2, "{rows} rows came\n{}", world.verdict);
    world.rest_well().await;
    let group = group.expect("a group");
    for member in [ALICE, BOB, DAVE] {
        let (_, session) = world.members[member].running.as_ref().expect("a session");
        let members = session.group(&group).await.expect("a group").members;
        let has = members.iter().any(|it| it.identity == dave);
        assert!(has, "{} misses Dave\n{}", world.members[member].name, world.verdict);
    }
    world.settle().await;
    world.judge().await;
    world.end().await.assert_clean("at the end");
}

#[test]
fn who_was_added_and_removed_meanwhile_is_added() {
    for breaks in [false, true] {
        block_on(wanted_meanwhile(breaks));
    }
}
